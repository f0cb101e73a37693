-- A worker's report, and when it was last heard of, by the server's clock. A worker that starts (`register`) is
-- refused while another one lives that runs another model, as token ids would mix, or has another context length.
-- If the windows differ over time, the one of the worker that started last counts.
-- Answers OK · {OTHER, worker, what differs, its value there, milliseconds for which it still counts as alive}
if arg.register then
  -- Of several, the one that counts as alive for longest.
  local found
  for _, other in ipairs(redis.call('ZRANGE', key.workers, 0, -1)) do
    local f = redis.call('HMGET', key.worker(other), 'fingerprint', 'model', 'context_length')
    local left = redis.call('PTTL', key.worker(other))
    if other ~= arg.worker and f[1] and not (found and found[5] >= left) then
      if f[1] ~= arg.fingerprint then
        found = {'OTHER', other, 'model', f[2], left}
      elseif f[3] and f[3] ~= arg.context_length then
        found = {'OTHER', other, 'context_length', f[3], left}
      end
    end
  end
  if found then return found end
end
redis.call('HSET', key.worker(arg.worker), 'model', arg.model, 'fingerprint', arg.fingerprint,
  'slots', arg.slots, 'running', arg.running, 'steps', arg.steps, 'stats', arg.stats, 'turns', arg.turns,
  'context_length', arg.context_length, 'window', arg.window, 'capabilities', arg.capabilities)
if arg.register or redis.call('EXISTS', key.window) == 0 then redis.call('SET', key.window, arg.window) end
redis.call('PEXPIRE', key.worker(arg.worker), arg.ttl_ms)
redis.call('ZADD', key.workers, int(now_ms()), arg.worker)
return 'OK'
