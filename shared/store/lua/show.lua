-- A conversation as its owner sees it: {context, created, updated, turns, tokens, window, pending, models,
-- the model that was named last}; false if there is no such conversation.
local f = redis.call('HMGET', key.conversation(arg.conversation),
  'owner', 'context', 'created', 'updated', 'turns', 'tokens', 'window', 'models', 'model')
if f[1] ~= arg.owner then return false end
local pending = redis.call('LRANGE', key.pending(arg.conversation), 0, -1)
return {f[2], f[3], f[4], f[5], f[6], f[7] or '', pending, f[8] or '', f[9] or ''}
