-- Bind a permit to the next ready turn. Answers {CLAIMED, …} (lib.lua, start) · {EXPIRED, job} (its deadline had
-- passed, so it was ended) · {NOTHING} (none was ready; the permit is deleted) · {OFF} (the clock was stepped)
if clock_is_off() then return {'OFF'} end
local bound = redis.call('HGET', key.claims, arg.permit)
if bound then
  -- Either a repetition because the answer was lost, or the permit is bound to a running turn and was delivered a
  -- second time, because the consumer group was lost and recreated.
  local token = redis.call('HGET', key.job(bound), 'token') or ''
  if string.sub(token, -#arg.nonce) == arg.nonce then return claimed(bound) end
  return {'NOTHING'}
end
-- A first call, whose answer was lost, has freed it: a turn bound to it now could never be reclaimed.
local pending = redis.call('XPENDING', key.permits, group, arg.permit, arg.permit, 1, arg.worker)
if #pending == 0 then return {'NOTHING'} end
local job = next_ready()
if not job then
  free_permit(arg.permit)
  return {'NOTHING'}
end
local f = job_fields(job, 'conversation', 'owner', 'deadline')
if tonumber(f.deadline) <= now_ms() then
  f.permit = arg.permit
  finish(job, f, 'failed', 'error', arg.deadline_error, arg.deadline_error)
  return {'EXPIRED', job}
end
local answer = start(job, arg.permit)
leave_queue(job, f.owner, 1)
redis.call('ZREM', key.waiting(f.owner), job)
keep_pace()
return answer
