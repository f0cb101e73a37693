-- Put a conversation back as a backup has it (dump.lua). With `replace` it takes the place of what has its id now, whose
-- turns are cancelled. Lists are numbered arguments: `fields.1`, `fields.2`, …
-- Answers OK · TAKEN (there is one with this id, and it was to be left)
local conversation, name = arg.conversation, key.conversation(arg.conversation)
local owner, family = unpack(redis.call('HMGET', name, 'owner', 'family'))
if owner and not arg.replace then return 'TAKEN' end

local function list(of)
  local values = {}
  while arg[of .. '.' .. #values + 1] do values[#values + 1] = arg[of .. '.' .. #values + 1] end
  return values
end

-- In blocks, as Lua passes only so many values; an even number of them, as fields come in pairs.
local function write(command, to, values)
  for at = 1, #values, 100 do redis.call(command, to, unpack(values, at, math.min(at + 99, #values))) end
end

raise_format()
-- Denied if memory is short, before anything is deleted.
redis.call('HSET', name, 'owner', owner or arg.owner)
-- Copies of it stay copies of what takes its place.
redis.call('HDEL', name, 'family')
if owner then erase(conversation, owner) end

write('HSET', name, list('fields'))
write('RPUSH', key.messages(conversation), list('messages'))
for i, id in ipairs(list('alternatives')) do
  redis.call('RPUSH', key.alternatives(conversation), id)
  write('HSET', alternative_key(conversation, id), list('alternative' .. i .. '.fields'))
  write('RPUSH', tail_key(conversation, id), list('alternative' .. i .. '.messages'))
end
local f = redis.call('HMGET', name, 'share', 'family', 'updated')
if f[1] then
  redis.call('DEL', key.share(f[1]), key.shared_messages(f[1]))
  write('HSET', key.share(f[1]), list('share.fields'))
  write('RPUSH', key.shared_messages(f[1]), list('share.messages'))
end
if family and family ~= f[2] then redis.call('SREM', key.family(family), conversation) end
if f[2] then redis.call('SADD', key.family(f[2]), conversation) end
local ttl_ms = tonumber(arg.conversation_ttl_ms)
if ttl_ms > 0 then
  redis.call('PEXPIRE', name, ttl_ms)
  redis.call('PEXPIRE', key.messages(conversation), ttl_ms)
  expire_alternatives(conversation, ttl_ms)
  if f[1] then
    redis.call('PEXPIRE', key.share(f[1]), ttl_ms)
    redis.call('PEXPIRE', key.shared_messages(f[1]), ttl_ms)
  end
  if f[2] then redis.call('PEXPIRE', key.family(f[2]), ttl_ms) end
end
redis.call('ZADD', key.owned(arg.owner), f[3], conversation)
tell_list(arg.owner, 'created', conversation, f[3])
return 'OK'
