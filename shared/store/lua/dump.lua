-- A conversation as a backup keeps it, all of it as it stands at this moment: {fields, messages, alternatives ({id, fields,
-- messages} each), its link ({id, fields, messages}; {} without one), how many of its turns have not ended}. False if there
-- is none, or none that would be left if those turns failed (lib/turns.lua, `finish`).
local conversation, name = arg.conversation, key.conversation(arg.conversation)
local f = redis.call('HMGET', name, 'owner', 'stateless', 'begun', 'next', 'share')
if not f[1] or f[2] then return false end
local pending = redis.call('LLEN', key.pending(conversation))
local is_begun_only = f[3] and tonumber(f[4]) <= tonumber(f[3])
if pending > 0 and is_begun_only and not has_alternatives(conversation) then return false end

local alternatives = {}
for i, id in ipairs(redis.call('LRANGE', key.alternatives(conversation), 0, -1)) do
  alternatives[i] = {id, redis.call('HGETALL', alternative_key(conversation, id)),
    redis.call('LRANGE', tail_key(conversation, id), 0, -1)}
end
local share = {}
if f[5] then
  share = {f[5], redis.call('HGETALL', key.share(f[5])), redis.call('LRANGE', key.shared_messages(f[5]), 0, -1)}
end
return {redis.call('HGETALL', name), redis.call('LRANGE', key.messages(conversation), 0, -1), alternatives, share, pending}
