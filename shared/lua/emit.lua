-- A piece of the reply, with its token ids, so that another worker can go on behind it. `at` counts the
-- ids emitted before it: a piece that is sent a second time is not written a second time.
-- Answers OK · DUP · FENCED
local f = job_fields(arg.job, 'token', 'progress')
if f.token ~= arg.token then return 'FENCED' end
if tonumber(f.progress) > tonumber(arg.at) then return 'DUP' end
redis.call('HSET', key.job(arg.job), 'progress', int(arg.at + arg.count))
emit(arg.job, 'token', arg.piece, arg.piece, arg.ids)
return 'OK'
