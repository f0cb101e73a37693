-- Turns as operators see them: who runs what where, and why it waits. Nothing that anybody wrote.

-- The turns that failed last, by when: their rows are kept on their own, as a stateless turn's job goes with its answer.
local MOST_FAILURES = 1000

local function forget_failure(job)
  if redis.call('ZREM', key.failures, job) == 1 then redis.call('HDEL', key.failure_rows, job) end
end

-- Keep the row of a turn that fails with this error: its code alone.
local function keep_failure(job, error)
  local f = job_fields(job, 'conversation', 'owner', 'created', 'started', 'crashes', 'request_id', 'pool')
  local code = string.match(error, '"code":"([%w_]+)"') or '-'
  redis.call('ZADD', key.failures, int(now_ms()), job)
  redis.call('HSET', key.failure_rows, job, table.concat({f.conversation, f.owner, code, f.crashes, f.created,
    f.started or '-', int(now_ms()), f.request_id or '-', f.pool or ''}, ' '))
  for _, oldest in ipairs(redis.call('ZRANGE', key.failures, 0, -MOST_FAILURES - 1)) do forget_failure(oldest) end
  redis.call('PEXPIRE', key.failures, arg.job_ttl_ms)
  redis.call('PEXPIRE', key.failure_rows, arg.job_ttl_ms)
end

-- The row of a turn that has failed; false if it is not known.
local function failure_row(job)
  local row = redis.call('HGET', key.failure_rows, job)
  if not row then return false end
  local conversation, owner, code, crashes, created, started, finished, request, pool =
    string.match(row, '^(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (.*)$')
  return {job, conversation, owner, pool, 'failed', created, started, finished, crashes, '', '', code, request,
    '', '', 0, 0}
end

-- What the workers of a pool can do for a turn that waits: 'serving', 'draining' (all of them) or 'none'.
local known_service = {}
local function service_of(pool)
  if known_service[pool] then return known_service[pool] end
  local state = 'none'
  for _, worker in ipairs(living_peers('', pool)) do
    state = redis.call('HEXISTS', key.worker(worker), 'draining') == 1 and 'draining' or 'serving'
    if state == 'serving' then break end
  end
  known_service[pool] = state
  return state
end

-- Why a turn waits, and what for: the turn of its conversation before it, a worker of its model, its home until a hold
-- ends, a free slot.
local function why_it_waits(job, f)
  local head = redis.call('LINDEX', key.pending(f.conversation), 0)
  if head and head ~= job then return 'earlier_turn', head end
  if not f.pool then return 'slot', '' end
  local service = service_of(f.pool)
  if service ~= 'serving' then return service == 'none' and 'no_worker' or 'workers_drain', '' end
  if f.home and redis.call('ZSCORE', key.hold(f.pool), job) then return 'home', f.home end
  return 'slot', ''
end

-- A turn's row; false if it is not known.
local function turn_row(job)
  local f = job_fields(job, 'conversation', 'owner', 'pool', 'status', 'created', 'started', 'finished', 'crashes',
    'worker', 'suspect', 'request_id', 'home')
  local failed = (not f.status or f.status == 'failed') and failure_row(job)
  if failed or not f.status then return failed end
  local why, what, position, eta_ms = '', '', 0, 0
  if f.status == 'queued' then
    why, what = why_it_waits(job, f)
    if f.pool then position, eta_ms = place(job, f.pool, f.owner) end
  end
  return {job, f.conversation, f.owner, f.pool or '', f.status, f.created, f.started or '-', f.finished or '-',
    f.crashes, f.worker or '', f.suspect or '', '-', f.request_id or '-', why, what, position or 0, eta_ms or 0}
end
