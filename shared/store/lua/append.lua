-- Add messages to a conversation without a turn. It counts as a prompt; the stored text is charged at four bytes a token.
-- Answers {OK, …} (lib.lua, charge_minute) · {GONE} · {BUSY} (a turn is pending: the order would be chance) ·
-- {LIMIT, …} (as in submit.lua)
local conversation = arg.conversation
local known = redis.call('HMGET', key.conversation(conversation), 'owner', 'stateless')
if known[1] ~= arg.owner or known[2] then return {'GONE'} end
-- A repetition: the answer was lost.
local last = redis.call('LINDEX', key.messages(conversation), -1)
if last and string.find(last, '"j":"' .. arg.batch .. '"', 1, true) then return {'OK', conversation, int(now_ms())} end
if redis.call('LLEN', key.pending(conversation)) > 0 then return {'BUSY'} end
local limit, until_ms = limit_reached(arg.owner)
if limit then return {'LIMIT', unpack(limit)} end
raise_format()
use_tokens(arg.owner, int(math.ceil(add_messages(conversation) / 4)))
use(conversation, arg.owner)
if tonumber(arg.conversation_ttl_ms) > 0 then
  redis.call('PEXPIRE', key.conversation(conversation), arg.conversation_ttl_ms)
  redis.call('PEXPIRE', key.messages(conversation), arg.conversation_ttl_ms)
  expire_alternatives(conversation, arg.conversation_ttl_ms)
end
return charge_minute(arg.owner, until_ms, conversation)
