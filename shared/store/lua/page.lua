-- Messages numbered below `before` (all for 0), the newest `limit` of them: {number before which the
-- next page ends, or 0 if there is none; number of the first message; messages}. The message in front of
-- them is there, too: it may be the prompt of the first. False if the conversation is not there.
local f = redis.call('HMGET', key.conversation(arg.conversation), 'owner', 'first', 'next')
if f[1] ~= arg.owner then return false end
local first, before = tonumber(f[2]), tonumber(f[3])
if tonumber(arg.before) > 0 then before = math.min(before, tonumber(arg.before)) end
local start = math.max(first, before - arg.limit)
if before <= start then return {0, int(first), {}} end
local begin = math.max(first, start - 1)
local messages = redis.call('LRANGE', key.messages(arg.conversation), begin - first, before - 1 - first)
return {start > first and int(start) or 0, int(begin), messages}
