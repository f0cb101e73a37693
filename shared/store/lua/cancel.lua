-- End a turn because its owner does not want the reply. A running one loses its fence, and its worker is told.
-- Answers OK · DUP (it had ended already) · GONE
local f = job_fields(arg.job, 'status', 'token', 'owner', 'permit', 'conversation', 'worker')
if f.owner ~= arg.owner then return 'GONE' end
if f.status ~= 'queued' and f.status ~= 'in_progress' then return 'DUP' end
finish(arg.job, f, 'cancelled', 'error', '', '{}')
if f.worker then redis.call('PUBLISH', key.notices(f.worker), 'lost ' .. arg.job) end
return 'OK'
