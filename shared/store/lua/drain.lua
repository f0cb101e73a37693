-- A worker takes no more turns; those that wait for it alone may start anywhere. Answers OK
redis.call('HSET', key.worker(arg.worker), 'draining', '1')
redis.call('PEXPIRE', key.worker(arg.worker), arg.ttl_ms)
set_free(arg.worker, arg.pool)
return 'OK'
