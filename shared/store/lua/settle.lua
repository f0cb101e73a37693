-- A worker tells what a turn has cost that somebody else has ended: nobody but it knows.
-- Answers OK · FENCED (it goes on elsewhere) · GONE
local f = job_fields(arg.job, 'owner', 'ended_by', 'status')
if not f.status then return 'GONE' end
if f.status == 'completed' or f.ended_by ~= arg.token then return 'FENCED' end
settle(arg.job, f.owner, arg.spent)
return 'OK'
