-- A worker that runs no turn takes a conversation whose window has left turns behind that its summary lacks: a certain
-- one, or the one that is due for longest. It has it for `lease_ms`. Whoever was given it before can end nothing any more.
-- None while turns wait for the model: every turn of a client comes first.
-- Answers {FOLD, conversation, number of the first message to fold, number behind the last one, context, the summary so
-- far or '', its owner} · {NONE}
local folds, now = key.folds(arg.pool), now_ms()
if redis.call('ZCARD', key.line(arg.pool)) > 0 then return {'NONE'} end
local due = redis.call('ZRANGEBYSCORE', folds, '-inf', int(now), 'LIMIT', 0, 10)
if arg.conversation then due = redis.call('ZSCORE', folds, arg.conversation) and {arg.conversation} or {} end
for _, conversation in ipairs(due) do
  local name = key.conversation(conversation)
  local f = redis.call('HMGET', name, 'first', 'offset', 'context', 'fold', 'fold_until', 'fold_tries', 'owner', 'pool', 'next')
  local is_held = f[4] and arg.conversation and now < tonumber(f[5])
  if f[1] and not is_held then
    local first, offset = tonumber(f[1]), tonumber(f[2])
    local summary = summary_before(conversation, first, tonumber(f[9]))
    local start = math.max(first, summary and summary.number or first)
    if start >= offset or f[8] ~= arg.pool or tonumber(f[6] or 0) >= tonumber(arg.most_tries) then
      redis.call('ZREM', folds, conversation)
    elseif redis.call('LLEN', key.pending(conversation)) > 0 then
      redis.call('ZADD', folds, int(now + arg.lease_ms), conversation)
    else
      redis.call('HSET', name, 'fold', arg.token, 'fold_until', int(now + arg.lease_ms), 'fold_tries', int((f[6] or 0) + 1))
      redis.call('ZADD', folds, int(now + arg.lease_ms), conversation)
      return {'FOLD', conversation, int(start), int(offset), f[3], summary and summary.line or '', f[7]}
    end
  elseif not f[1] then
    redis.call('ZREM', folds, conversation)
  end
end
return {'NONE'}
