-- An owner's conversations, the newest first, `limit` of them behind the one named by `before`: {id, context,
-- created, updated, turns, tokens, window, pending} each, and the `before` of the next page or ''. Those
-- that have expired are forgotten on the way. False if `before` is not there (any more).
local owned, found = key.owned(arg.owner), {}
local rank = arg.before and redis.call('ZREVRANK', owned, arg.before)
local at = rank and rank + 1 or 0
if arg.before and not rank then return false end
while #found < tonumber(arg.limit) do
  local some = redis.call('ZREVRANGE', owned, at, at + 99)
  if #some == 0 then return {found, ''} end
  for _, conversation in ipairs(some) do
    local f = redis.call('HMGET', key.conversation(conversation),
      'owner', 'context', 'created', 'updated', 'turns', 'tokens', 'window')
    if f[1] ~= arg.owner then
      redis.call('ZREM', owned, conversation)
    elseif #found < tonumber(arg.limit) then
      found[#found + 1] = {conversation, f[2], f[3], f[4], f[5], f[6], f[7] or '',
        redis.call('LRANGE', key.pending(conversation), 0, -1)}
      at = at + 1
    end
  end
end
local last = found[#found][1]
local more = redis.call('ZREVRANK', owned, last) + 1 < redis.call('ZCARD', owned)
return {found, more and last or ''}
