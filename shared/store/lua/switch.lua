-- Change places: an alternative stands in its conversation again, and what stood there becomes an alternative. Does
-- nothing if it stands there already.
-- Answers OK · GONE (no such conversation) · NONE (no such alternative of what stands before it) · BUSY (a turn is pending)
local conversation, id = arg.conversation, arg.alternative
local c = redis.call('HMGET', key.conversation(conversation), 'owner', 'stateless', 'next', 'offset', 'context', 'home',
  'saves_ms')
if c[1] ~= arg.owner or c[2] then return 'GONE' end
local place = standing(conversation)
local number = tonumber(string.match(id, '^%d+'))
if tail_at(number, place) == id then return 'OK' end
local f = redis.call('HMGET', alternative_key(conversation, id), 'number', 'after', 'offset', 'context')
if not f[1] or not continues({number = number, after = f[2]}, place) then return 'NONE' end
if redis.call('LLEN', key.pending(conversation)) > 0 then return 'BUSY' end

local next_number, offset = tonumber(c[3]), tonumber(c[4])
if number < next_number then put_aside(conversation, number) end
use(conversation, arg.owner)
if number < place.first + HEADED then redis.call('HDEL', key.conversation(conversation), 'heading') end
if c[6] and c[7] and f[3] == c[4] and f[4] == c[5] and number > offset then
  -- Its home has what stands before the alternative in its cache.
  local share = (number - offset) / (next_number - offset)
  redis.call('HSET', key.conversation(conversation), 'saves_ms', int(math.floor(c[7] * share)))
else
  redis.call('HDEL', key.conversation(conversation), 'home', 'saves_ms')
end
for i, value in ipairs(redis.call('HMGET', alternative_key(conversation, id), unpack(of_tail))) do
  if value then
    redis.call('HSET', key.conversation(conversation), of_tail[i], value)
  else
    redis.call('HDEL', key.conversation(conversation), of_tail[i])
  end
end
cut_messages(conversation, number)
copy_messages(tail_key(conversation, id), 0, key.messages(conversation))
delete_alternative(conversation, id)
limit_alternatives(conversation)
if tonumber(arg.conversation_ttl_ms) > 0 then
  redis.call('PEXPIRE', key.conversation(conversation), arg.conversation_ttl_ms)
  redis.call('PEXPIRE', key.messages(conversation), arg.conversation_ttl_ms)
  expire_alternatives(conversation, arg.conversation_ttl_ms)
end
return 'OK'
