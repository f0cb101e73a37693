-- A job goes, with its log; what it added to its conversation stays there. One that has not ended is
-- cancelled. Answers OK · GONE
local f = job_fields(arg.job, 'status', 'token', 'owner', 'permit', 'conversation', 'worker')
if f.owner ~= arg.owner then return 'GONE' end
if f.status == 'queued' or f.status == 'in_progress' then
  finish(arg.job, f, 'cancelled', 'error', '', '{}')
  if f.worker then redis.call('PUBLISH', key.losses(f.worker), arg.job) end
end
redis.call('DEL', key.job(arg.job), key.events(arg.job))
redis.call('ZREM', key.jobs(f.conversation), arg.job)
return 'OK'
