-- A worker ends: nothing of it is left. Without another one of its pool no prompt is accepted for that. Answers OK
forget_worker(arg.worker, {arg.pool})
redis.call('DEL', key.worker(arg.worker))
redis.call('ZREM', key.workers, arg.worker)
if redis.call('GET', key.keeper) == arg.worker then redis.call('DEL', key.keeper) end
for _, other in ipairs(redis.call('ZRANGE', key.workers, 0, -1)) do
  if redis.call('HGET', key.worker(other), 'pool') == arg.pool then return 'OK' end
end
redis.call('ZADD', key.pools, 'XX', 0, arg.pool)
return 'OK'
