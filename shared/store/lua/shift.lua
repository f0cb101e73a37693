-- The server's clock was stepped by `by` milliseconds, at most `since` milliseconds ago. Every stored time of a turn
-- under way moves along, so that the turn has as much time left as before, and every live worker gets a whole lease to
-- be heard of. Several workers notice the step; comparing `steps` makes sure that it is corrected once.
-- Answers OK · DONE (another worker did it)
if (redis.call('GET', key.steps) or '0') ~= arg.steps then return 'DONE' end
redis.call('INCR', key.steps)
local now, by, since = now_ms(), arg.by, tonumber(arg.since)

local function move(name, ...)
  for _, field in ipairs({...}) do
    if redis.call('HEXISTS', name, field) == 1 then redis.call('HINCRBY', name, field, by) end
  end
end

-- What was stored since the step is by the new clock.
local function is_old(time)
  return time and not (tonumber(time) >= now - since and tonumber(time) <= now)
end

for _, job in ipairs(redis.call('ZRANGE', key.open_jobs, 0, -1)) do
  local f = job_fields(job, 'status', 'created', 'worker', 'readied', 'pool')
  if is_old(f.created) then
    move(key.job(job), 'created', 'started', 'deadline')
    redis.call('ZINCRBY', key.open_jobs, by, job)
  end
  if is_old(f.readied) then
    move(key.job(job), 'readied')
    if redis.call('ZSCORE', key.hold(f.pool), job) then redis.call('ZINCRBY', key.hold(f.pool), by, job) end
  end
  if f.status == 'in_progress' then
    redis.call('SET', key.lease(job), f.worker, 'PX', arg.lease_ms)
    redis.call('ZADD', key.leases, int(now + arg.lease_ms), job)
  end
end
for _, worker in ipairs(redis.call('ZRANGE', key.workers, 0, -1)) do
  redis.call('ZADD', key.workers, 'XX', int(now), worker)
  if redis.call('PTTL', key.worker(worker)) > tonumber(arg.lease_ms) then
    redis.call('PEXPIRE', key.worker(worker), arg.lease_ms)
  end
end
for _, pool in ipairs(redis.call('ZRANGE', key.pools, 0, -1)) do
  -- Those whose last worker has left (leave.lua) stay without one.
  if redis.call('ZSCORE', key.pools, pool) ~= '0' then redis.call('ZADD', key.pools, 'XX', int(now), pool) end
  move(key.pace(pool), 'last')
end
return 'OK'
