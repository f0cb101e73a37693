-- What has become of a conversation that a worker has taken (fold.lua): it is at it (`on`), was `interrupted` and may be
-- taken again after `pause_ms`, has `failed`, or has `made` a summary of what stands below `number`, where the message
-- before it is of `job`.
-- Answers OK · DUP (this summary was added before) · FENCED (another worker has it, somebody has changed what was
-- summarised, or it is gone) · STALE (what was summarised does not stand any more)
local conversation, name, folds = arg.conversation, key.conversation(arg.conversation), key.folds(arg.pool)
local f = redis.call('HMGET', name, 'fold', 'folded', 'first', 'offset', 'owner', 'updated')
if arg.token == f[2] then return 'DUP' end
if arg.token ~= f[1] then return 'FENCED' end
if arg.outcome == 'on' then
  redis.call('HSET', name, 'fold_until', int(now_ms() + arg.lease_ms))
  redis.call('ZADD', folds, int(now_ms() + arg.lease_ms), conversation)
  return 'OK'
end
if arg.outcome == 'interrupted' then
  redis.call('ZADD', folds, int(now_ms() + arg.pause_ms), conversation)
  redis.call('HDEL', name, 'fold', 'fold_until')
  redis.call('HINCRBY', name, 'fold_tries', -1)
  return 'OK'
end
if arg.outcome == 'failed' then
  redis.call('HDEL', name, 'fold', 'fold_until')
  redis.call('ZREM', folds, conversation)
  return 'OK'
end
local first, number = tonumber(f[3]), tonumber(arg.number)
local is_stale = job_at(key.messages(conversation), number - 1 - first, '') ~= arg.job
if not is_stale then
  -- The first of its writes is one that is denied while memory is short.
  redis.call('HSET', name, 'folded', arg.token)
  add_summary(conversation, first, number, arg.text)
  tell_list(f[5], 'changed', conversation, f[6])
end
redis.call('HDEL', name, 'fold', 'fold_until', 'fold_tries')
if is_stale or number < tonumber(f[4]) then
  redis.call('ZADD', folds, int(now_ms()), conversation)
else
  redis.call('ZREM', folds, conversation)
end
return is_stale and 'STALE' or 'OK'
