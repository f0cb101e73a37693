-- Keep a copy of a conversation, of its newest `most` messages, for whoever knows the id of the link. A conversation has
-- one link: if it is shared already, its id stays and the copy is made anew.
-- Answers {the link's id, now} · false (there is no such conversation)
local name, list = key.conversation(arg.conversation), key.messages(arg.conversation)
local f = redis.call('HMGET', name, 'owner', 'share')
if f[1] ~= arg.owner then return false end
local share = f[2] or arg.share
redis.call('HSET', name, 'share', share)
redis.call('DEL', key.share(share), key.shared_messages(share))
redis.call('HSET', key.share(share), 'title', arg.title, 'shared', int(now_ms()))
local count = redis.call('LLEN', list)
for from = math.max(0, count - arg.most), count - 1, 100 do
  redis.call('RPUSH', key.shared_messages(share), unpack(redis.call('LRANGE', list, from, math.min(from + 99, count - 1))))
end
if tonumber(arg.conversation_ttl_ms) > 0 then
  redis.call('PEXPIRE', key.share(share), arg.conversation_ttl_ms)
  redis.call('PEXPIRE', key.shared_messages(share), arg.conversation_ttl_ms)
end
return {share, int(now_ms())}
