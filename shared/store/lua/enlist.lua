-- Put conversations (ids joined by spaces) where they belong in their owners' lists: versions before this kept no list
-- without API keys, and with them one by age.
for conversation in string.gmatch(arg.conversations, '%S+') do
  local f = redis.call('HMGET', key.conversation(conversation), 'owner', 'updated', 'stateless')
  if f[1] and f[2] and not f[3] then redis.call('ZADD', key.owned(f[1]), f[2], conversation) end
end
