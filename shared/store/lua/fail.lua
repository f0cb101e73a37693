-- The turn ends without a reply; its conversation is as it was before.
-- With a token: the worker that holds it. Without: only while it waits (its deadline passed).
-- Answers OK · DUP (it had ended already) · FENCED · GONE
local f = job_fields(arg.job, 'status', 'token', 'owner', 'permit', 'conversation')
if not f.status then return 'GONE' end
if f.status ~= 'queued' and f.status ~= 'in_progress' then return 'DUP' end
if (f.token or '') ~= arg.token then return 'FENCED' end
finish(arg.job, f, arg.status, 'error', arg.error, arg.error)
return 'OK'
