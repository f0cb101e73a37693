-- A worker starts. It is refused while another one of its pool lives that runs another model under the same name, as
-- token ids would mix, or has another context length.
-- Answers {OK} · {OTHER, worker, what differs, its value there, milliseconds for which it still counts as alive}
-- Of several, the one that counts as alive for longest. All that were let in agree: there is no need to ask them all.
local found
for _, other in ipairs(living_peers(arg.worker, arg.pool)) do
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
-- A call that arrives late, after the worker has begun to drain, does not undo that.
keep_report(arg.pool, arg.draining or redis.call('HGET', key.worker(arg.worker), 'draining'), true)
note_models_beside(arg.pool, true)
return {'OK'}
