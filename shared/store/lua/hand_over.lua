-- A stopping worker gives its turn back: the turn keeps its place in the queue, no attempt is charged, and a worker
-- is woken at once. Answers OK · FENCED
local f = job_fields(arg.job, 'token', 'owner', 'pool', 'tag', 'conversation')
if f.token ~= arg.fence then return 'FENCED' end
give_back(arg.job, f)
return 'OK'
