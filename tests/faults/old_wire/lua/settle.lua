-- Charge what a turn cost that was ended elsewhere, which only its worker knows.
-- Answers OK · FENCED (it continues elsewhere) · GONE
local f = job_fields(arg.job, 'owner', 'ended_by', 'status')
if not f.status then return 'GONE' end
if f.status == 'completed' or f.ended_by ~= arg.fence then return 'FENCED' end
settle(arg.job, f.owner, arg.spent)
return 'OK'
