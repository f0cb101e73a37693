-- A worker takes no more turns; those that wait for it alone may start anywhere. Unless it says so itself (with its pool
-- and `ttl_ms`), it is told, and will end when its turns have.
-- Answers OK · GONE (there is no such worker) · OLD (it runs a version before data format 3, and hears nothing of it)
local pool = arg.pool or redis.call('HGET', key.worker(arg.worker), 'pool')
if not pool then return redis.call('EXISTS', key.worker(arg.worker)) == 1 and 'OLD' or 'GONE' end
-- In this order it works while memory is short: only a script's first write can be denied.
set_free(arg.worker, pool)
redis.call('HSET', key.worker(arg.worker), 'draining', '1')
if arg.ttl_ms then
  redis.call('PEXPIRE', key.worker(arg.worker), arg.ttl_ms)
else
  redis.call(publish_command, key.notices(arg.worker), 'drain')
end
return 'OK'
