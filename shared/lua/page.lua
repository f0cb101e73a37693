-- Messages numbered below `before` (all for 0), the newest `limit` of them: {number before which the
-- next page ends, messages}; 0 if there is none. False if the conversation is not there.
local f = redis.call('HMGET', key.conversation(arg.conversation), 'owner', 'first', 'next')
if f[1] ~= arg.owner then return false end
local first, before = tonumber(f[2]), tonumber(f[3])
if tonumber(arg.before) > 0 then before = math.min(before, tonumber(arg.before)) end
local start = math.max(first, before - arg.limit)
if before <= start then return {0, {}} end
local messages = redis.call('LRANGE', key.messages(arg.conversation), start - first, before - 1 - first)
return {start > first and start or 0, messages}
