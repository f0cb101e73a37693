-- What one worker at a time does for all: `keeper` names it, and the others try to become it. It ends holds, gives turns
-- of lost workers back to the line, and with `sweep` repairs what a lost write or a lost server may have left behind.
-- So that it blocks nobody, a call does only so much; what is left is for the next call.
-- Answers {KEPT, milliseconds until there is more to do (-1 if nothing is known), turns that failed by their deadline,
-- turns that had lost too many workers, whether the sweep is complete} · {OTHER} (another worker does it) · {OFF} (the
-- clock was stepped)
local HOLDS, LEASES, LATE, LOOKED_AT, GONE = 50, 20, 20, 100, 20
local keeper = redis.call('GET', key.keeper)
if keeper ~= arg.worker then
  if keeper or not redis.call('SET', key.keeper, arg.worker, 'NX', 'PX', arg.keeper_ms) then return {'OTHER'} end
else
  redis.call('PEXPIRE', key.keeper, arg.keeper_ms)
end
if clock_is_off() then return {'OFF'} end
local now, late, lost, next_end = now_ms(), 0, 0, nil

-- A turn of a worker that is gone waits again, before all others. It may have killed its worker, so it becomes a
-- suspect, unless it was shielded because only another turn was being evaluated.
local function reclaim(job)
  local f = ending(job)
  if f.status ~= 'in_progress' then return redis.call('ZREM', key.leases, job) end
  if redis.call('HGET', key.job(job), 'shielded') ~= f.token then
    local crashes = redis.call('HINCRBY', key.job(job), 'crashes', 1)
    if crashes >= tonumber(arg.max_attempts) then
      lost = lost + 1
      return finish(job, f, 'failed', {'error', arg.lost_error}, arg.lost_error)
    end
    redis.call('HSET', key.job(job), 'suspect', '1')
  end
  give_back(job, f)
end

local function kept(is_complete)
  return {'KEPT', next_end and math.max(0, next_end - now) or -1, late, lost, is_complete and 1 or 0}
end

local pools = redis.call('ZRANGE', key.pools, 0, 99)
for _, pool in ipairs(pools) do
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', key.hold(pool), '-inf', int(now), 'LIMIT', 0, HOLDS)) do
    end_hold(job, pool)
  end
  local head = redis.call('ZRANGE', key.hold(pool), 0, 0, 'WITHSCORES')[2]
  if head and (not next_end or tonumber(head) < next_end) then next_end = tonumber(head) end
  -- A worker that was woken may have died.
  local first = next_ready(pool)
  if first and first.readied < now - BELL_MS then ring_free(pool) end
end

if arg.reclaim == '1' then
  local ended = redis.call('ZRANGEBYSCORE', key.leases, '-inf', int(now), 'LIMIT', 0, LEASES)
  if #ended == LEASES then next_end = now end
  for _, job in ipairs(ended) do
    -- Beats extend the lease itself, which works while memory is short.
    local left = redis.call('PTTL', key.lease(job))
    if left > 0 then
      redis.call('ZADD', key.leases, int(now + left), job)
    else
      reclaim(job)
    end
  end
end
if arg.sweep ~= '1' then return kept(false) end

for _, job in ipairs(redis.call('ZRANGEBYSCORE', key.open_jobs, '-inf', int(now), 'LIMIT', 0, LOOKED_AT)) do
  if late == LATE then break end
  local f = ending(job)
  if not f.status then
    redis.call('ZREM', key.open_jobs, job)
  elseif f.status == 'queued' or (f.status == 'in_progress' and redis.call('EXISTS', key.lease(job)) == 0) then
    finish(job, f, 'failed', {'error', arg.deadline_error}, arg.deadline_error)
    late = late + 1
  end
end
for _, pool in ipairs(pools) do
  -- What a version before data format 3 has ended, or lost data have left.
  for _, entry in ipairs(redis.call('ZRANGE', key.line(pool), 0, LOOKED_AT - 1)) do
    local owner, job = string.match(entry, '^(.*) (.*)$')
    local f = job_fields(job, 'status', 'home')
    if f.status ~= 'queued' then leave_line(job, {pool = pool, owner = owner, home = f.home}) end
  end
  -- Owners that have idled for long begin anew.
  redis.call('ZREMRANGEBYSCORE', key.tags(pool), '-inf', int(clock_of(pool) - LEAD))
  redis.call('ZREMRANGEBYSCORE', key.times(pool), '-inf', int(clock_of(pool) - LEAD))
  -- A model that nobody has served for long (announce.lua).
  if redis.call('EXISTS', key.pool(pool), key.line(pool)) == 0 then
    redis.call('DEL', key.clock(pool), key.tags(pool), key.times(pool), key.pace(pool), key.free(pool),
      key.peers(pool))
    redis.call('ZREM', key.pools, pool)
  end
end
-- Workers that are gone: what waits for them may start anywhere.
local gone = 0
for _, worker in ipairs(redis.call('ZRANGEBYSCORE', key.workers, '-inf', int(now - arg.silent_ms), 'LIMIT', 0, GONE)) do
  if redis.call('EXISTS', key.worker(worker)) == 0 then
    forget_worker(worker, pools)
    -- The last one stays, as it tells since when there has been none.
    if redis.call('ZCARD', key.workers) > 1 then gone = gone + redis.call('ZREM', key.workers, worker) end
  end
end
return kept(late < LATE and gone < GONE)
