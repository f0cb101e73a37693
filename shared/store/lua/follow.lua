-- The events of a job's log after the log id `after` ('' for all), for somebody who follows it live from now on: if the job
-- runs, its worker is told, as it publishes more often then.
local worker = redis.call('HGET', key.job(arg.job), 'worker')
if worker then redis.call(publish_command, key.notices(worker), 'followed ' .. arg.job) end
return redis.call('XRANGE', key.events(arg.job), arg.after == '' and '-' or '(' .. arg.after, '+')
