-- An owner's conversations, the one that was used last in front: `limit` of them after the position `before` (when the
-- last one seen was used, and its id; it may have been deleted). Each is as its owner sees it (lib/lists.lua); the second
-- value is the `before` of the next page, or ''. Expired ones are removed on the way; of many a call looks at some only,
-- and its page is shorter. With `pinned` only those that are.
local VISITS = 2000
local owned, rows = key.owned(arg.owner), {}

local at, visits, position = 0, 0, ''
if arg.before then
  local used = arg.used or redis.call('ZSCORE', owned, arg.before)
  -- An id alone has no position once its conversation is gone.
  if not used then return {rows, ''} end
  at = place_in_list(owned, used, arg.before)
end
while #rows < tonumber(arg.limit) and visits < VISITS do
  local block = redis.call('ZREVRANGE', owned, at, at + 99, 'WITHSCORES')
  if #block == 0 then return {rows, ''} end
  for i = 1, #block, 2 do
    if #rows == tonumber(arg.limit) then break end
    local conversation = block[i]
    visits, position = visits + 1, block[i + 1] .. '-' .. conversation
    if arg.pinned and redis.call('HGET', key.conversation(conversation), 'pinned') ~= '1' then
      at = at + 1
    else
      local row = shown(conversation, arg.owner)
      if row then
        rows[#rows + 1], at = row, at + 1
      else
        redis.call('ZREM', owned, conversation)
      end
    end
  end
end
return {rows, at < redis.call('ZCARD', owned) and position or ''}
