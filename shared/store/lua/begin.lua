-- Create a conversation without a turn, possibly with messages and alternatives. It counts as a prompt; the stored text
-- is charged at four bytes a token.
-- Answers {OK, …} (lib.lua, charge_minute) · {TAKEN} · {FULL, …} · {NO_MODEL, …} · {NO_WORKER, …} · {LIMIT, …} (as in
-- submit.lua)
local name = key.conversation(arg.conversation)
local known = redis.call('HMGET', name, 'owner', 'batch')
-- A repetition: the answer was lost.
if known[2] == arg.batch and known[1] == arg.owner then return {'OK', arg.conversation, int(now_ms())} end
if known[1] then return {'TAKEN'} end
if redis.call('ZCARD', key.open_jobs) >= tonumber(arg.queue_limit) then
  return {'FULL', 1000}
end
local pool, refusal
if arg.model then
  pool, refusal = named_model(arg.model)
  -- What is imported may come from a server with other models.
  if not pool and arg.messages == '0' then return refusal end
end
local limit, until_ms = limit_reached(arg.owner)
if limit then return {'LIMIT', unpack(limit)} end
raise_format()
redis.call('HSET', name, 'owner', arg.owner, 'context', arg.context, 'created', int(now_ms()),
  'updated', int(now_ms()), 'first', '1', 'next', '1', 'offset', '1', 'turns', '0', 'tokens', '0',
  'metadata', arg.metadata, 'batch', arg.batch)
if arg.title then redis.call('HSET', name, 'title', arg.title) end
if arg.memory then redis.call('HSET', name, 'memory', arg.memory) end
if arg.pinned then redis.call('HSET', name, 'pinned', arg.pinned) end
if pool and pool == arg.model then redis.call('HSET', name, 'model', pool) end
enlist(arg.conversation, arg.owner)
local bytes = #arg.metadata + #arg.context + #(arg.title or '') + add_messages(arg.conversation)
  + add_alternatives(arg.conversation)
use_tokens(arg.owner, int(math.ceil(bytes / 4)))
if arg.pins then note_pins(arg.conversation) end
if tonumber(arg.conversation_ttl_ms) > 0 then
  redis.call('PEXPIRE', name, arg.conversation_ttl_ms)
  redis.call('PEXPIRE', key.messages(arg.conversation), arg.conversation_ttl_ms)
  expire_alternatives(arg.conversation, arg.conversation_ttl_ms)
end
return charge_minute(arg.owner, until_ms, arg.conversation)
