-- The newest `limit` messages of an alternative numbered below `before` (0: no bound), as page.lua answers: no alternatives
-- are named, as they are those of what stands.
-- False if there is no such conversation, NONE if there is no such alternative.
local conversation, id = arg.conversation, arg.alternative
if redis.call('HGET', key.conversation(conversation), 'owner') ~= arg.owner then return false end
local f = redis.call('HMGET', alternative_key(conversation, id), 'number', 'next', 'models')
if not f[1] then return 'NONE' end
local first, before = tonumber(f[1]), tonumber(f[2])
if tonumber(arg.before) > 0 then before = math.min(before, tonumber(arg.before)) end
local start = math.max(first, before - arg.limit)
if before <= start then return {0, int(first), {}, '', {}} end
local begin = math.max(first, start - 1)
local messages = redis.call('LRANGE', tail_key(conversation, id), begin - first, before - 1 - first)
return {start > first and int(start) or 0, int(begin), messages, f[3] or '', {}}
