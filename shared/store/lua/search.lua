-- What a search reads: an owner's conversations with their messages, the one that was used last in front, behind the
-- position `used`, `before` as in list.lua. With `below` it goes on in that conversation, with the messages of smaller
-- numbers. With `pinned` only conversations that are. Each is {position, id, title, number of its first message here, messages as JSON, a line each}.
-- A call reads so many bytes, and ten messages more at most: the second value is where to go on, {used}-{before} or
-- {used}-{before}.{below}; empty if all was read.
local BYTES, VISITS, BLOCK = 500000, 200, 10
local owned, read, bytes = key.owned(arg.owner), {}, 0

-- The newest messages below a number, as far as they go; the number of the first one; whether there are more.
local function messages_below(conversation, first, from)
  local blocks = {}
  while from > first and bytes < BYTES do
    local start = math.max(first, from - BLOCK)
    local text = table.concat(redis.call('LRANGE', key.messages(conversation), start - first, from - 1 - first), '\n')
    table.insert(blocks, 1, text)
    from, bytes = start, bytes + #text
  end
  return table.concat(blocks, '\n'), from, from > first
end

local at, is_within = 0, false
if arg.before then
  local present = redis.call('ZSCORE', owned, arg.before)
  local used = arg.used or present
  if not used then return {read, ''} end
  at, is_within = place_in_list(owned, used, arg.before), arg.below and present == used
end
if is_within then at = at - 1 end
local block = redis.call('ZREVRANGE', owned, at, at + VISITS - 1, 'WITHSCORES')
for i = 1, #block, 2 do
  local conversation, position = block[i], block[i + 1] .. '-' .. block[i]
  local f = redis.call('HMGET', key.conversation(conversation), 'owner', 'title', 'first', 'next', 'pinned')
  if f[1] == arg.owner and (f[5] == '1' or not arg.pinned) then
    local from = tonumber(f[4])
    if is_within and i == 1 then from = math.min(from, tonumber(arg.below)) end
    local text, start, has_more = messages_below(conversation, tonumber(f[3]), from)
    read[#read + 1] = {position, conversation, f[2] or '', int(start), text}
    if bytes >= BYTES then return {read, position .. (has_more and '.' .. int(start) or '')} end
  end
end
return {read, #block == 2 * VISITS and block[#block] .. '-' .. block[#block - 1] or ''}
