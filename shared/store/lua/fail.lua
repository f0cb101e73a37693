-- End the turn without a reply; its conversation stays as it was. With a fence: for the worker that holds the turn.
-- With an empty one: only while it waits.
-- Answers {OK · DUP (it had ended already) · FENCED · GONE, whether the worker should take another turn (lib/turns.lua)}
local f = ending(arg.job)
if not f.status then return {'GONE', 1} end
if f.status ~= 'queued' and f.status ~= 'in_progress' then return {'DUP', 1} end
if (f.token or '') ~= arg.fence then return {'FENCED', 1} end
finish(arg.job, f, arg.status, {'error', arg.error}, arg.event)
return {'OK', f.worker and next_waits(f.worker, f.pool) or 0}
