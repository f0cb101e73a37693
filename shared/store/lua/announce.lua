-- A worker's report, and when it was last heard of, by the server's clock. A worker that starts (`register`) is
-- refused while another one of its pool lives that runs another model under the same name, as token ids would mix, or
-- has another context length. If the windows differ over time, the one of the worker that started last counts.
-- `cold` are conversations whose tokens its cache has dropped, `cold_prefixes` what stateless turns begin with: no turn
-- of theirs waits for it any more.
-- Answers OK · DRAINING (it is to take no more turns, drain.lua) · {OTHER, worker, what differs, its value there, milliseconds for which it still counts as alive}
local pool = arg.pool
-- For how long a model is known after the last report.
local KNOWN_MS = 3600000
if arg.register then
  -- Of several, the one that counts as alive for longest. All that were let in agree: there is no need to ask them all.
  local found
  for _, other in ipairs(living_peers(arg.worker, pool)) do
    local f = redis.call('HMGET', key.worker(other), 'fingerprint', 'model', 'context_length')
    local left = redis.call('PTTL', key.worker(other))
    if f[1] and not (found and found[5] >= left) then
      if f[1] ~= arg.fingerprint then
        found = {'OTHER', other, 'model', f[2], left}
      elseif f[3] and f[3] ~= arg.context_length then
        found = {'OTHER', other, 'context_length', f[3], left}
      end
    end
  end
  if found then return found end
  raise_format()
end
local draining = arg.draining or redis.call('HGET', key.worker(arg.worker), 'draining')
redis.call('HSET', key.worker(arg.worker), 'pool', pool, 'model', arg.model, 'fingerprint', arg.fingerprint,
  'slots', arg.slots, 'running', arg.running, 'steps', arg.steps, 'stats', arg.stats, 'turns', arg.turns,
  'context_length', arg.context_length, 'window', arg.window, 'capabilities', arg.capabilities,
  'patience_ms', arg.patience_ms)
if draining then redis.call('HSET', key.worker(arg.worker), 'draining', '1') end
redis.call('PEXPIRE', key.worker(arg.worker), arg.ttl_ms)
redis.call('ZADD', key.workers, int(now_ms()), arg.worker)
redis.call('ZADD', key.peers(pool), int(now_ms()), arg.worker)
redis.call('ZADD', key.pools, int(now_ms()), pool)
if arg.register or redis.call('EXISTS', key.pool(pool)) == 0 then
  redis.call('HSETNX', key.pool(pool), 'since', int(now_ms()))
  redis.call('HSET', key.pool(pool), 'window', arg.window, 'fingerprint', arg.fingerprint,
    'capabilities', arg.capabilities)
end
-- Models that were served side by side are missed when they are gone (lib/models.lua).
local served = redis.call('ZRANGEBYSCORE', key.pools, int(now_ms() - arg.silence_ms), '+inf')
if #served > 1 then
  for _, name in ipairs(arg.register and served or {pool}) do redis.call('HSET', key.pool(name), 'beside', '1') end
end
redis.call('PEXPIRE', key.pool(pool), KNOWN_MS)
if tonumber(arg.running) < tonumber(arg.slots) and not draining and
  not redis.call('ZSCORE', key.free(pool), arg.worker) then
  set_busy(arg.worker, pool, tonumber(arg.running))
end
for conversation in string.gmatch(arg.cold or '', '%S+') do forget_home(conversation, arg.worker) end
for digest in string.gmatch(arg.cold_prefixes or '', '%S+') do forget_prefix(pool, digest, arg.worker) end
return draining and 'DRAINING' or 'OK'
