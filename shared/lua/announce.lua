-- A worker is there: what it runs, and when it was last heard of, by the server's clock.
redis.call('HSET', key.worker(arg.worker), 'model', arg.model, 'fingerprint', arg.fingerprint,
  'slots', arg.slots, 'running', arg.running, 'steps', arg.steps, 'stats', arg.stats)
redis.call('PEXPIRE', key.worker(arg.worker), arg.ttl_ms)
redis.call('ZADD', key.workers, int(now_ms()), arg.worker)
return 'OK'
