-- Change what an owner calls a conversation: `title`, or none if `untitled`; `pinned`, 1 or 0; `metadata`;
-- `memory`, or the server's (`server_memory`). Returns it as
-- its owner sees it (lib/lists.lua); false if there is no such conversation.
local conversation, name = arg.conversation, key.conversation(arg.conversation)
local known = redis.call('HMGET', name, 'owner', 'updated')
if known[1] ~= arg.owner then return false end
tell_list(arg.owner, 'changed', conversation, known[2])
if arg.title then redis.call('HSET', name, 'title', arg.title) end
if arg.untitled then redis.call('HDEL', name, 'title') end
if arg.pinned == '1' then redis.call('HSET', name, 'pinned', '1') end
if arg.pinned == '0' then redis.call('HDEL', name, 'pinned') end
if arg.metadata then redis.call('HSET', name, 'metadata', arg.metadata) end
if arg.memory then redis.call('HSET', name, 'memory', arg.memory) end
if arg.server_memory then redis.call('HDEL', name, 'memory') end
return shown(conversation, arg.owner)
