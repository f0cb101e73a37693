-- A conversation without any turn. Answers OK · TAKEN
local name = key.conversation(arg.conversation)
if redis.call('EXISTS', name) == 1 then return 'TAKEN' end
redis.call('HSET', name, 'owner', arg.owner, 'context', '', 'created', int(now_ms()),
  'updated', int(now_ms()), 'first', '1', 'next', '1', 'offset', '1', 'turns', '0', 'tokens', '0',
  'metadata', arg.metadata)
if arg.owner ~= default_owner then
  redis.call('ZADD', key.owned(arg.owner), int(now_ms()), arg.conversation)
end
if tonumber(arg.conversation_ttl_ms) > 0 then redis.call('PEXPIRE', name, arg.conversation_ttl_ms) end
return 'OK'
