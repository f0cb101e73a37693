-- Delete a conversation with everything that belongs to it; its pending turns are cancelled. Answers OK · GONE
local conversation = arg.conversation
if redis.call('HGET', key.conversation(conversation), 'owner') ~= arg.owner then return 'GONE' end
erase(conversation, arg.owner)
return 'OK'
