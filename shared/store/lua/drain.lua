-- A worker takes no more turns; those that wait for it alone may start anywhere. Answers OK
-- In this order it works while memory is short: only a script's first write can be denied.
set_free(arg.worker, arg.pool)
redis.call('HSET', key.worker(arg.worker), 'draining', '1')
redis.call('PEXPIRE', key.worker(arg.worker), arg.ttl_ms)
return 'OK'
