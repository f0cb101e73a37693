-- A conversation's creation time and metadata, which are replaced first if new ones are given; false if there is no
-- such conversation.
local name = key.conversation(arg.conversation)
local known = redis.call('HMGET', name, 'owner', 'updated')
if known[1] ~= arg.owner then return false end
if arg.metadata then
  redis.call('HSET', name, 'metadata', arg.metadata)
  tell_list(arg.owner, 'changed', arg.conversation, known[2])
end
local f = redis.call('HMGET', name, 'created', 'metadata')
return {f[1], f[2] or '{}'}
