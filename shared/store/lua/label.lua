-- A conversation's creation time and metadata, which are replaced first if new ones are given; false if there is no
-- such conversation.
local name = key.conversation(arg.conversation)
if redis.call('HGET', name, 'owner') ~= arg.owner then return false end
if arg.metadata then redis.call('HSET', name, 'metadata', arg.metadata) end
local f = redis.call('HMGET', name, 'created', 'metadata')
return {f[1], f[2] or '{}'}
