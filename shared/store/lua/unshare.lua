-- Take the link to a conversation back. Answers whether the conversation exists.
local name = key.conversation(arg.conversation)
local f = redis.call('HMGET', name, 'owner', 'share')
if f[1] ~= arg.owner then return 0 end
delete_share(f[2])
redis.call('HDEL', name, 'share')
return 1
