-- End the turn without a reply; its conversation stays as it was. With a fence: for the worker that holds the turn.
-- With an empty one: only while it waits. Answers OK · DUP (it had ended already) · FENCED · GONE
local f = job_fields(arg.job, 'status', 'token', 'owner', 'permit', 'conversation')
if not f.status then return 'GONE' end
if f.status ~= 'queued' and f.status ~= 'in_progress' then return 'DUP' end
if (f.token or '') ~= arg.fence then return 'FENCED' end
finish(arg.job, f, arg.status, 'error', arg.error, arg.error)
return 'OK'
