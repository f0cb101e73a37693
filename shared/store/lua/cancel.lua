-- End a turn because its owner does not want the reply. A running one loses its fence, and its worker is told.
-- Answers OK · DUP (it had ended already) · GONE
local f = ending(arg.job)
if f.owner ~= arg.owner then return 'GONE' end
if f.status ~= 'queued' and f.status ~= 'in_progress' then return 'DUP' end
cancel(arg.job, f, 'error')
return 'OK'
