-- What does not add up in the queue, in words (tests/counts.py).
local wrong, waiting, running, startable, waits = {}, {}, {}, {}, {}
local function complain(...) wrong[#wrong + 1] = table.concat({...}, ' ') end

for _, job in ipairs(redis.call('ZRANGE', key.open_jobs, 0, -1)) do
  local f = job_fields(job, 'status', 'owner', 'conversation', 'pool', 'tag', 'token', 'home')
  if f.status == 'queued' then
    waiting[job] = f
    waits[f.owner] = (waits[f.owner] or 0) + 1
    if redis.call('LINDEX', key.pending(f.conversation), 0) == job then startable[job] = f end
    if f.token then complain(job, 'waits and is held by a worker') end
    local tag = redis.call('ZSCORE', key.line(f.pool), in_line(job, f.owner))
    if tag ~= f.tag then complain(job, 'waits and is in line by tag', tag or 'none') end
    local at = 0
    if redis.call('ZSCORE', ready_of(f.pool, f.owner), job) then at = at + 1 end
    if redis.call('ZSCORE', key.hold(f.pool), job) then
      at = at + 1
      if not (f.home and redis.call('ZSCORE', key.own(f.home), job)) then complain(job, 'is held for nobody') end
    end
    if at ~= (startable[job] and 1 or 0) then complain(job, 'is ready and held', at, 'times') end
  elseif f.status == 'in_progress' then
    running[job] = f
    if not f.token then complain(job, 'runs without a fence') end
    if not redis.call('ZSCORE', key.leases, job) then complain(job, 'runs without a lease') end
  else
    complain(job, 'has ended and is open:', f.status or 'gone')
  end
end

for _, job in ipairs(redis.call('ZRANGE', key.leases, 0, -1)) do
  if not running[job] then complain(job, 'has a lease and does not run') end
end
for _, pool in ipairs(redis.call('ZRANGE', key.pools, 0, -1)) do
  for _, entry in ipairs(redis.call('ZRANGE', key.line(pool), 0, -1)) do
    local job = string.match(entry, '%S+$')
    if not waiting[job] or waiting[job].pool ~= pool then complain(entry, 'is in line and does not wait') end
  end
  for _, job in ipairs(redis.call('ZRANGE', key.hold(pool), 0, -1)) do
    if not startable[job] or startable[job].pool ~= pool then complain(job, 'is held and may not start') end
  end
  local owners = {}
  for _, owner in ipairs(redis.call('ZRANGE', key.owners(pool), 0, -1)) do
    owners[owner] = true
    local jobs = redis.call('ZRANGE', ready_of(pool, owner), 0, -1)
    if #jobs == 0 then complain(owner, 'is among the owners with nothing ready') end
    for _, job in ipairs(jobs) do
      if not startable[job] or startable[job].pool ~= pool then complain(job, 'is ready and may not start') end
    end
  end
  for owner in pairs(waits) do
    if not owners[owner] and redis.call('EXISTS', ready_of(pool, owner)) == 1 then
      complain(owner, 'is not among the owners with something ready')
    end
  end
  for _, worker in ipairs(redis.call('ZRANGE', key.free(pool), 0, -1)) do
    local w = redis.call('HMGET', key.worker(worker), 'pool', 'draining')
    if w[2] or (w[1] and w[1] ~= pool) then complain(worker, 'takes no turns of', pool, 'and is free') end
  end
end

for _, worker in ipairs(redis.call('ZRANGE', key.workers, 0, -1)) do
  for _, job in ipairs(redis.call('ZRANGE', key.own(worker), 0, -1)) do
    if not startable[job] then complain(job, 'is own of', worker, 'and may not start') end
    if startable[job] and startable[job].home ~= worker then complain(job, 'is own of', worker, 'but not at home') end
  end
end
local counted = redis.call('HGETALL', key.waits)
for i = 1, #counted, 2 do
  if tonumber(counted[i + 1]) ~= (waits[counted[i]] or 0) then complain(counted[i], 'waits', counted[i + 1], 'times') end
  waits[counted[i]] = nil
end
for owner, number in pairs(waits) do complain(owner, 'waits', number, 'times, and none is counted') end
return wrong
