-- A worker ends: nothing of it is left. Answers OK
forget_worker(arg.worker, {arg.pool})
redis.call('DEL', key.worker(arg.worker))
redis.call('ZREM', key.workers, arg.worker)
return 'OK'
