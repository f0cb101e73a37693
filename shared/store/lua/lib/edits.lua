-- How the messages of a conversation change: added, removed at either end, put aside and put back.
--
-- Alternatives: tails of a conversation in whose place others stand now (`replace_from`). Each begins at the `number` of
-- a message and continues the message before it, which is known by its job (`after`; '' where nothing before it is
-- kept). So an alternative may continue another one. It is called by its number and the job of its first message.

-- What of a conversation belongs to its tail. As what stands before an alternative is the same in both, each has it whole.
local of_tail = {'next', 'turns', 'offset', 'window', 'begun', 'models', 'context'}

-- Where messages stand, as `continues` takes it.
local function standing(conversation)
  return {list = key.messages(conversation), before = '',
    first = tonumber(redis.call('HGET', key.conversation(conversation), 'first'))}
end

local function continues(alternative, place)
  return job_at(place.list, alternative.number - 1 - place.first, place.before) == alternative.after
end

-- What tail stands at a number: its id, or nil if there is nothing.
local function tail_at(number, place)
  local job = number >= place.first and job_at(place.list, number - place.first, place.before)
  return job and int(number) .. '-' .. job or nil
end

-- All alternatives of a conversation, oldest first: {id, number, after}.
local function alternatives_of(conversation)
  local all = {}
  for i, id in ipairs(redis.call('LRANGE', key.alternatives(conversation), 0, -1)) do
    local f = redis.call('HMGET', alternative_key(conversation, id), 'number', 'after')
    all[i] = {id = id, number = tonumber(f[1]), after = f[2]}
  end
  return all
end

-- The alternative that has the prompt of a job at this number; nil if there is none.
local function alternative_with(conversation, number, job)
  for _, alternative in ipairs(alternatives_of(conversation)) do
    local index = number - alternative.number
    local prompt = index >= 0 and redis.call('LINDEX', tail_key(conversation, alternative.id), index)
    if prompt and is_of(prompt, job) then return alternative end
  end
end

-- Whether an alternative continues a message of this job.
local function is_continued(conversation, job)
  for _, alternative in ipairs(alternatives_of(conversation)) do
    if alternative.after == job then return true end
  end
  return false
end

-- The alternatives of a conversation that begin at `first` or later and continue a message that is there, oldest first:
-- each with the id of the one `under` which it belongs, nil where it continues what stands. And those that do not.
local function traced(conversation, first)
  local all, places = alternatives_of(conversation), {standing(conversation)}
  local kept, lost = {}, {}
  while #places > 0 do
    local place = table.remove(places)
    for _, alternative in ipairs(all) do
      if not alternative.found and alternative.number >= first and continues(alternative, place) then
        alternative.found, alternative.under = true, place.id
        places[#places + 1] = {list = tail_key(conversation, alternative.id), first = alternative.number,
          before = alternative.after, id = alternative.id}
      end
    end
  end
  for _, alternative in ipairs(all) do
    local list = alternative.found and kept or lost
    list[#list + 1] = alternative
  end
  return kept, lost
end

-- Delete the alternatives that continue nothing any more, and those that begin before `first`.
local function prune(conversation, first)
  local _, lost = traced(conversation, first)
  for _, alternative in ipairs(lost) do delete_alternative(conversation, alternative.id) end
end

-- The messages before `first` are about to be removed.
local function prune_before(conversation, first)
  if not has_alternatives(conversation) then return end
  prune(conversation, first)
  for _, alternative in ipairs(alternatives_of(conversation)) do
    if alternative.number == first then redis.call('HSET', alternative_key(conversation, alternative.id), 'after', '') end
  end
end

-- Keep the newest `alternatives` of a conversation. What continues another one was put aside before that, and goes first.
local function limit_alternatives(conversation)
  local surplus = redis.call('LLEN', key.alternatives(conversation)) - tonumber(arg.alternatives or 0)
  if surplus <= 0 then return end
  for _, id in ipairs(redis.call('LRANGE', key.alternatives(conversation), 0, surplus - 1)) do
    delete_alternative(conversation, id)
  end
end

-- Keep the numbers of all messages that are pinned, in what stands or in alternatives (`pins`): where to look for them.
local function note_pins(conversation)
  local numbers, is_known = {}, {}
  local function look(list, first)
    for from = 0, redis.call('LLEN', list) - 1, 100 do
      for i, message in ipairs(redis.call('LRANGE', list, from, from + 99)) do
        local number = first + from + i - 1
        if is_pinned(message) and not is_known[number] then numbers[#numbers + 1], is_known[number] = number, true end
      end
    end
  end
  local name = key.conversation(conversation)
  look(key.messages(conversation), tonumber(redis.call('HGET', name, 'first')))
  for _, alternative in ipairs(alternatives_of(conversation)) do
    look(tail_key(conversation, alternative.id), alternative.number)
  end
  table.sort(numbers)
  for i, number in ipairs(numbers) do numbers[i] = int(number) end
  if #numbers > 0 then redis.call('HSET', name, 'pins', table.concat(numbers, ' ')) else redis.call('HDEL', name, 'pins') end
end

-- Copy a list's messages from an index on to the end of another. In blocks, to save memory.
local function copy_messages(from, index, to)
  for at = index, redis.call('LLEN', from) - 1, 100 do
    redis.call('RPUSH', to, unpack(redis.call('LRANGE', from, at, at + 99)))
  end
end

-- Keep what stands from `number` on as an alternative. It is to be removed then.
local function put_aside(conversation, number)
  local place = standing(conversation)
  local id = tail_at(number, place)
  local kept = {'number', int(number), 'after', job_at(place.list, number - 1 - place.first, place.before),
    'replaced', int(now_ms())}
  for i, value in ipairs(redis.call('HMGET', key.conversation(conversation), unpack(of_tail))) do
    if value then
      kept[#kept + 1] = of_tail[i]
      kept[#kept + 1] = value
    end
  end
  redis.call('HSET', alternative_key(conversation, id), unpack(kept))
  copy_messages(place.list, number - place.first, tail_key(conversation, id))
  redis.call('RPUSH', key.alternatives(conversation), id)
end

-- Remove an alternative's messages from a number on, with the replies among them; `context`: the instructions before.
local function cut_alternative(conversation, alternative, number, context)
  local name, list = alternative_key(conversation, alternative.id), tail_key(conversation, alternative.id)
  local f, index = redis.call('HMGET', name, 'turns', 'offset'), number - alternative.number
  redis.call('HSET', name, 'next', int(number), 'turns', int(f[1] - replies_in(list, index)), 'window', '',
    'offset', int(math.min(f[2], number)))
  if context then redis.call('HSET', name, 'context', context) end
  redis.call('LTRIM', list, 0, index - 1)
end

-- Remove what stands from `number` on.
local function cut_messages(conversation, number)
  local length = number - redis.call('HGET', key.conversation(conversation), 'first')
  if length <= 0 then
    redis.call('DEL', key.messages(conversation))
  else
    redis.call('LTRIM', key.messages(conversation), 0, length - 1)
  end
end

-- Apply `history_limit` to a conversation that starts at `first`. Whole turns are removed, and none from `offset` on,
-- which the window may show.
local function keep_limit(conversation, first, offset)
  if tonumber(arg.history_limit) <= 0 or offset <= first then return end
  local cut = redis.call('LLEN', key.messages(conversation)) - arg.history_limit
  if cut <= 0 then return end
  cut = math.min(turn_from(conversation, first, first + cut), offset) - first
  prune_before(conversation, first + cut)
  limit_summaries(conversation, first, first + cut)
  redis.call('LTRIM', key.messages(conversation), cut, -1)
  redis.call('HSET', key.conversation(conversation), 'first', int(first + cut))
end

-- Add messages without a turn: `messages` of them, message1, message2, … The first `opening` ones are instructions; in
-- an empty conversation they become its context (`instructions`). Returns the number of bytes.
local function add_messages(conversation)
  local name, list = key.conversation(conversation), key.messages(conversation)
  local c = redis.call('HMGET', name, 'next', 'context', 'turns', 'first', 'offset')
  local number, turns, bytes, begin = tonumber(c[1]), tonumber(c[3]), 0, 1
  if number == 1 and tonumber(arg.opening) > 0 then
    begin = arg.opening + 1
    redis.call('HSET', name, 'context', c[2] == '' and arg.instructions or c[2] .. '\n\n' .. arg.instructions)
    bytes = #arg.instructions
  end
  for i = begin, tonumber(arg.messages) do
    local message = arg['message' .. i]
    redis.call('RPUSH', list, message)
    if is_reply(message) then turns = turns + 1 end
    number, bytes = number + 1, bytes + #message
  end
  -- Otherwise only a commit moves the window's offset: skip what could be in no model's window.
  local first, offset = tonumber(c[4]), tonumber(c[5])
  local reached = number - reach()
  if reached > offset then offset = turn_from(conversation, first, math.max(first, reached)) end
  redis.call('HSET', name, 'next', int(number), 'turns', int(turns), 'offset', int(offset))
  keep_limit(conversation, first, offset)
  return bytes
end

-- The offset of an imported alternative: that of the conversation while it stands before it, else as `view` begins again.
local function offset_before(conversation, number)
  local c = redis.call('HMGET', key.conversation(conversation), 'first', 'offset')
  local first, offset = tonumber(c[1]), tonumber(c[2])
  if offset <= number then return offset end
  return math.min(number, turn_from(conversation, first, math.max(first, number - reach())))
end

-- Add the alternatives of an imported conversation, `tails` of them, oldest first; each belongs under a later one or
-- continues what stands. Those whose beginning `history_limit` has taken are left out. Returns the number of bytes.
local function add_alternatives(conversation)
  local first, bytes = tonumber(redis.call('HGET', key.conversation(conversation), 'first')), 0
  local offsets = {}
  for i = tonumber(arg.tails or 0), 1, -1 do
    local tail = 'tail' .. i .. '_'
    local id, under, number = arg[tail .. 'id'], arg[tail .. 'under'], tonumber(arg[tail .. 'number'])
    local begins = under == '' and number == first
    offsets[id] = offsets[under] or offset_before(conversation, number)
    redis.call('HSET', alternative_key(conversation, id), 'number', int(number), 'replaced', arg[tail .. 'replaced'],
      'after', begins and '' or arg[tail .. 'after'], 'next', int(number + arg[tail .. 'messages']),
      'turns', arg[tail .. 'turns'], 'offset', int(offsets[id]), 'context', arg[tail .. 'context'])
    for j = 1, tonumber(arg[tail .. 'messages']) do
      redis.call('RPUSH', tail_key(conversation, id), arg[tail .. 'message' .. j])
      bytes = bytes + #arg[tail .. 'message' .. j]
    end
    redis.call('LPUSH', key.alternatives(conversation), id)
    bytes = bytes + #arg[tail .. 'context']
  end
  prune(conversation, first)
  return bytes
end
