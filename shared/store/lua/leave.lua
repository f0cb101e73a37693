-- A worker ends: nothing of it is left. Without another one of its pool no prompt is accepted for that. Answers OK
forget_worker(arg.worker, {arg.pool})
redis.call('DEL', key.worker(arg.worker))
redis.call('ZREM', key.workers, arg.worker)
if redis.call('GET', key.keeper) == arg.worker then redis.call('DEL', key.keeper) end
if not living_peers(arg.worker, arg.pool)[1] then redis.call('ZADD', key.pools, 'XX', 0, arg.pool) end
return 'OK'
