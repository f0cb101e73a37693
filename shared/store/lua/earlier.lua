-- Messages of a conversation numbered from `start`, or from the first that is kept, to below `before`; `most` at most.
-- Answers {number of the conversation's first message, number of the first of these, the messages} · false (it is gone)
local f = redis.call('HMGET', key.conversation(arg.conversation), 'first', 'next')
if not f[1] then return false end
local first, stop = tonumber(f[1]), math.min(tonumber(f[2]), tonumber(arg.before))
local start = math.max(first, tonumber(arg.start))
stop = math.min(stop, start + arg.most)
if stop <= start then return {int(first), int(start), {}} end
return {int(first), int(start), redis.call('LRANGE', key.messages(arg.conversation), start - first, stop - 1 - first)}
