-- Start up to `n` turns on a worker with so many free slots (lib/queue.lua, choose).
-- Answers {TAKEN, a turn (lib/turns.lua, claimed), …}: none if nothing may start, and then the worker is woken for the
-- next one · {OFF} (the clock was stepped)
if clock_is_off() then return {'OFF'} end
local answer = {'TAKEN'}
local taken = redis.call('GET', key.taken(arg.worker))
if taken and string.sub(taken, 1, #arg.nonce) == arg.nonce then
  -- A repetition: the answer was lost.
  for job in string.gmatch(string.sub(taken, #arg.nonce + 1), '%S+') do
    local token = redis.call('HGET', key.job(job), 'token') or ''
    if string.sub(token, -#arg.nonce) == arg.nonce then answer[#answer + 1] = claimed(job) end
  end
  return answer
end

local w = redis.call('HMGET', key.worker(arg.worker), 'draining', 'silent')
if w[1] then return answer end

local jobs, left = {}, tonumber(arg.n)
while left > 0 do
  local f = choose(arg.worker, arg.pool)
  if not f then break end
  local job = f.job
  if f.status ~= 'queued' then
    -- It does not wait: data were lost, or a worker of an older version has it.
    leave_line(job, {pool = arg.pool, home = arg.worker, owner = f.owner})
  elseif tonumber(f.deadline) <= now_ms() then
    finish(job, ending(job), 'failed', {'error', arg.deadline_error}, arg.deadline_error)
  else
    -- The first of its writes is one that is denied while memory is short.
    start(job, f)
    leave_line(job, f)
    keep_pace(arg.pool)
    jobs[#jobs + 1], left = job, left - 1
  end
end
if #jobs > 0 then
  redis.call('SET', key.taken(arg.worker), arg.nonce .. table.concat(jobs, ' '), 'PX', arg.taken_ms)
end
if w[2] then redis.call('HDEL', key.worker(arg.worker), 'silent') end
if left > 0 then
  set_busy(arg.worker, arg.pool, arg.busy + #jobs)
else
  redis.call('ZREM', key.free(arg.pool), arg.worker)
  -- What is left has rung before, but bells can get lost: the next worker with a free slot looks, too.
  if redis.call('EXISTS', key.owners(arg.pool)) == 1 then ring_free(arg.pool) end
end
for _, job in ipairs(jobs) do answer[#answer + 1] = claimed(job) end
return answer
