-- A stopping worker gives its turn back: the turn keeps its place in the queue, no attempt is charged, and a worker
-- is woken at once. Answers OK · FENCED
local job = arg.job
local f = job_fields(job, 'token', 'owner', 'sequence', 'permit')
if f.token ~= arg.fence then return 'FENCED' end
redis.call('HSET', key.job(job), 'status', 'queued')
redis.call('ZADD', key.waiting(f.owner), f.sequence, job)
make_ready(job, f.owner, f.sequence)
free_permit(f.permit)
redis.call('DEL', key.lease(job))
redis.call('HDEL', key.job(job), 'token', 'permit', 'worker')
return 'OK'
