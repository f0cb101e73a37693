-- An operator gives a running turn back to the line, as that of a worker that stops: it keeps its place, no attempt is
-- charged, and what is written of its reply stands. Its worker is told that it has the turn no more.
-- Answers OK · FENCED (it has moved on since `fence` was read) · GONE
local f = job_fields(arg.job, 'status', 'token', 'owner', 'pool', 'tag', 'conversation', 'worker')
if not f.status then return 'GONE' end
if not f.pool or not f.token or f.token ~= arg.fence then return 'FENCED' end
give_back(arg.job, f)
redis.call(publish_command, key.notices(f.worker), 'lost ' .. arg.job)
return 'OK'
