-- Create a conversation without a turn, possibly with messages. It counts as a prompt; the stored text is charged at
-- four bytes a token.
-- Answers {OK, …} (lib.lua, charge_minute) · {TAKEN} · {FULL, …} · {LIMIT, …} (as in submit.lua)
local name = key.conversation(arg.conversation)
local known = redis.call('HMGET', name, 'owner', 'batch')
-- A repetition: the answer was lost.
if known[2] == arg.batch and known[1] == arg.owner then return {'OK', arg.conversation, int(now_ms())} end
if known[1] then return {'TAKEN'} end
if redis.call('ZCARD', key.open_jobs) >= tonumber(arg.queue_limit) then
  return {'FULL', 1000}
end
local limit, until_ms = limit_reached(arg.owner)
if limit then return {'LIMIT', unpack(limit)} end
raise_format()
redis.call('HSET', name, 'owner', arg.owner, 'context', '', 'created', int(now_ms()),
  'updated', int(now_ms()), 'first', '1', 'next', '1', 'offset', '1', 'turns', '0', 'tokens', '0',
  'metadata', arg.metadata, 'batch', arg.batch)
enlist(arg.conversation, arg.owner)
local bytes = add_messages(arg.conversation)
use_tokens(arg.owner, int(math.ceil((#arg.metadata + bytes) / 4)))
if tonumber(arg.conversation_ttl_ms) > 0 then
  redis.call('PEXPIRE', name, arg.conversation_ttl_ms)
  redis.call('PEXPIRE', key.messages(arg.conversation), arg.conversation_ttl_ms)
end
return charge_minute(arg.owner, until_ms, arg.conversation)
