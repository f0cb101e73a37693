-- A worker is there: what it runs, and when it was last heard of, by the server's clock. One that begins
-- (`register`) is refused while another one lives that runs another model: token ids would mix.
-- Answers OK · {OTHER, worker, model, milliseconds it is known for without another word}
if arg.register then
  -- Of several the one that is known for longest.
  local found
  for _, other in ipairs(redis.call('ZRANGE', key.workers, 0, -1)) do
    local f = redis.call('HMGET', key.worker(other), 'fingerprint', 'model')
    local left = redis.call('PTTL', key.worker(other))
    if other ~= arg.worker and f[1] and f[1] ~= arg.fingerprint and not (found and found[4] >= left) then
      found = {'OTHER', other, f[2], left}
    end
  end
  if found then return found end
end
redis.call('HSET', key.worker(arg.worker), 'model', arg.model, 'fingerprint', arg.fingerprint,
  'slots', arg.slots, 'running', arg.running, 'steps', arg.steps, 'stats', arg.stats, 'turns', arg.turns)
redis.call('PEXPIRE', key.worker(arg.worker), arg.ttl_ms)
redis.call('ZADD', key.workers, int(now_ms()), arg.worker)
return 'OK'
