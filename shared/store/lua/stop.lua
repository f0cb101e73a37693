-- End a turn with what has been written of its reply: the worker that has it commits that at once (`stop` of the job; the
-- worker is told). One that nothing was written of, and that no worker has, is cancelled.
-- Answers OK · DUP (it had ended already) · GONE
local job = arg.job
local f = ending(job)
if f.owner ~= arg.owner then return 'GONE' end
if f.status ~= 'queued' and f.status ~= 'in_progress' then return 'DUP' end
if f.status == 'queued' and redis.call('HGET', key.job(job), 'progress') == '0' then
  cancel(job, f, 'error')
  return 'OK'
end
redis.call('HSET', key.job(job), 'stop', '1')
if f.worker then redis.call(publish_command, key.notices(f.worker), 'stop ' .. job) end
return 'OK'
