-- The newest `limit` messages numbered below `before` (0: no bound): {the `before` of the next page, or 0; number of
-- the first message; messages; models; ids of their alternatives}. The message before them is included: it may be the
-- prompt of the first.
-- False if there is no such conversation.
local f = redis.call('HMGET', key.conversation(arg.conversation), 'owner', 'first', 'next', 'models')
if f[1] ~= arg.owner then return false end
local first, before = tonumber(f[2]), tonumber(f[3])
if tonumber(arg.before) > 0 then before = math.min(before, tonumber(arg.before)) end
local start = math.max(first, before - arg.limit)
if before <= start then return {0, int(first), {}, '', {}} end
local begin = math.max(first, start - 1)
local messages = redis.call('LRANGE', key.messages(arg.conversation), begin - first, before - 1 - first)
local place, alternatives = standing(arg.conversation), {}
for _, alternative in ipairs(alternatives_of(arg.conversation)) do
  if alternative.number >= start and alternative.number < before and continues(alternative, place) then
    alternatives[#alternatives + 1] = alternative.id
  end
end
return {start > first and int(start) or 0, int(begin), messages, f[4] or '', alternatives}
