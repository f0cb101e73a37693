-- Repair what a lost write or a lost server may have left behind: end overdue turns that wait or that no worker holds,
-- give every ready turn a permit, remove workers that are gone.
-- Answers {number of turns it ended} · {OFF} (the clock was stepped)
if clock_is_off() then return {'OFF'} end
local ended = 0
local late = redis.call('ZRANGEBYSCORE', key.open_jobs, '-inf', int(now_ms()), 'LIMIT', 0, 100)
for _, job in ipairs(late) do
  local f = job_fields(job, 'status', 'owner', 'conversation', 'permit', 'token')
  local abandoned = f.status == 'in_progress' and redis.call('EXISTS', key.lease(job)) == 0
  if f.status == 'queued' or abandoned then
    finish(job, f, 'failed', 'error', arg.deadline_error, arg.deadline_error)
    ended = ended + 1
  elseif not f.status then
    redis.call('ZREM', key.open_jobs, job)
  end
end
local ready = 0
for _, owner in ipairs(redis.call('ZRANGE', key.owners, 0, -1)) do
  ready = ready + redis.call('ZCARD', key.ready(owner))
end
local held = redis.call('XPENDING', key.permits, group)[1]
for _ = redis.call('XLEN', key.permits) - held, ready - 1 do
  redis.call('XADD', key.permits, '*', 'j', '')
end
for _, consumer in ipairs(redis.call('XINFO', 'CONSUMERS', key.permits, group)) do
  local name, pending = consumer[2], consumer[4]
  if pending == 0 and redis.call('EXISTS', key.worker(name)) == 0 then
    redis.call('XGROUP', 'DELCONSUMER', key.permits, group, name)
  end
end
redis.call('ZREMRANGEBYSCORE', key.workers, '-inf', int(now_ms() - 300000))
return {ended}
