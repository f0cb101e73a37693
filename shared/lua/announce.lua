-- A worker is there: what it runs, and when it was last heard of, by the server's clock. One that begins
-- (`register`) is refused while another one lives that runs another model: token ids would mix.
-- Answers OK · {OTHER, worker, model, milliseconds it is known for without another word}
if arg.register then
  for _, other in ipairs(redis.call('ZRANGE', key.workers, 0, -1)) do
    local f = redis.call('HMGET', key.worker(other), 'fingerprint', 'model')
    if other ~= arg.worker and f[1] and f[1] ~= arg.fingerprint then
      return {'OTHER', other, f[2], redis.call('PTTL', key.worker(other))}
    end
  end
end
redis.call('HSET', key.worker(arg.worker), 'model', arg.model, 'fingerprint', arg.fingerprint,
  'slots', arg.slots, 'running', arg.running, 'steps', arg.steps, 'stats', arg.stats)
redis.call('PEXPIRE', key.worker(arg.worker), arg.ttl_ms)
redis.call('ZADD', key.workers, int(now_ms()), arg.worker)
return 'OK'
