-- The conversations that an owner used last, the newest in front, `most` at most: {id, when it was used last, number of its
-- first message, number behind its last one, …}
local owned, found = redis.call('ZREVRANGE', key.owned(arg.owner), 0, arg.most - 1, 'WITHSCORES'), {}
for i = 1, #owned, 2 do
  local f = redis.call('HMGET', key.conversation(owned[i]), 'owner', 'first', 'next')
  -- Others have expired.
  if f[1] == arg.owner then
    for _, value in ipairs({owned[i], owned[i + 1], f[2], f[3]}) do found[#found + 1] = value end
  end
end
return found
