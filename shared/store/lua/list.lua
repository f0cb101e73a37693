-- An owner's conversations, newest first: `limit` of them after the position `before` (the creation time and id of the
-- last one seen, which may have been deleted). Each is {id, context, created, updated, turns, tokens, window, pending,
-- models, the model that was named last}; the second value is the `before` of the next page, or ''. Expired ones are removed from the index on the way.
local owned, found = key.owned(arg.owner), {}

-- How many conversations are at that position, or newer.
local function number_above(created, conversation)
  local count = redis.call('ZCOUNT', owned, '(' .. created, '+inf')
  for _, twin in ipairs(redis.call('ZRANGEBYSCORE', owned, created, created)) do
    if twin >= conversation then count = count + 1 end
  end
  return count
end

local at = 0
if arg.before then
  local created = arg.created or redis.call('ZSCORE', owned, arg.before)
  -- An id alone has no position once its conversation is gone.
  if not created then return {found, ''} end
  at = number_above(created, arg.before)
end
while #found < tonumber(arg.limit) do
  local some = redis.call('ZREVRANGE', owned, at, at + 99)
  if #some == 0 then return {found, ''} end
  for _, conversation in ipairs(some) do
    local f = redis.call('HMGET', key.conversation(conversation),
      'owner', 'context', 'created', 'updated', 'turns', 'tokens', 'window', 'models', 'model')
    if f[1] ~= arg.owner then
      redis.call('ZREM', owned, conversation)
    elseif #found < tonumber(arg.limit) then
      found[#found + 1] = {conversation, f[2], f[3], f[4], f[5], f[6], f[7] or '',
        redis.call('LRANGE', key.pending(conversation), 0, -1), f[8] or '', f[9] or ''}
      at = at + 1
    end
  end
end
local last = found[#found][1]
local more = redis.call('ZREVRANK', owned, last) + 1 < redis.call('ZCARD', owned)
return {found, more and redis.call('ZSCORE', owned, last) .. '-' .. last or ''}
