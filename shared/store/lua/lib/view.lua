-- What a turn sees of a conversation.

-- The number at which the last turn of a conversation begins, as far as a window reaches; its reply has number - 1.
local function last_turn(conversation, first, number, pool)
  local index, least = number - 1 - first, math.max(0, number - first - reach(pool))
  while index > least and not begins_turn(conversation, index) do index = index - 1 end
  return first + math.max(0, index)
end

-- The job that a message names: a reply only if another one than its prompt's continued it.
local function job_of(message) return message and string.match(message, '"j":"([^"]*)"') or nil end

local function stored_of(job, field) return job and redis.call('HGET', key.job(job), field) or '' end

local function is_pinned(message) return string.find(message, '"p":1', 1, true) ~= nil end

-- The turns before `offset` that have pinned messages, {number of the first message, messages} each, oldest first: the
-- last ones, with as many messages as a window may show. `pins` has the numbers of all that may be pinned.
local function pinned_turns(conversation, first, offset, pins, most)
  local numbers, turns, list = {}, {}, key.messages(conversation)
  for number in string.gmatch(pins, '%d+') do numbers[#numbers + 1] = tonumber(number) end
  local stop = offset
  for i = #numbers, 1, -1 do
    local from = numbers[i]
    local message = from >= first and from < stop and redis.call('LINDEX', list, from - first)
    if message and is_pinned(message) then
      local to = from + 1
      while to < stop and not begins_turn(conversation, to - first) do to = to + 1 end
      while not begins_turn(conversation, from - first) do from = from - 1 end
      most, stop = most - (to - from), from
      if most < 0 then break end
      table.insert(turns, 1, {int(from), redis.call('LRANGE', list, from - first, to - 1 - first)})
    end
  end
  return turns
end

-- A conversation as a turn needs it: {context, next, offset, messages, turns, memory, pinned turns, the summary of most of
-- what is before `next` or ''}, or false if it is gone.
-- The messages are those from the window's offset on. If `replace_from` lies before the offset, the window starts
-- again: then they are the last `reach` messages before `replace_from`. `next` is the number of the turn's prompt,
-- `turns` the number of completed turns before it. For a turn by which the last reply `grows`, all of that reply's turn is
-- among the messages, and what is stored of its jobs comes last: the prompt's request, the reply's result.
local function view(conversation, replace_from, pool, grows)
  local f = redis.call('HMGET', key.conversation(conversation),
    'context', 'first', 'next', 'offset', 'turns', 'memory', 'pins', 'summaries')
  if not f[1] then return false end
  local first, number, offset, turns = tonumber(f[2]), tonumber(f[3]), tonumber(f[4]), tonumber(f[5])
  if replace_from and tonumber(replace_from) < number then
    number = math.max(first, tonumber(replace_from))
    turns = turns - replies_from(conversation, number - first)
    if number <= offset then
      offset = math.min(number, turn_from(conversation, first, math.max(first, number - reach(pool))))
    end
  end
  offset = math.max(offset, first)
  if grows then offset = math.min(offset, last_turn(conversation, first, number, pool)) end
  local messages = {}
  if number > offset then
    messages = redis.call('LRANGE', key.messages(conversation), offset - first, number - 1 - first)
  end
  local pinned = f[7] and pinned_turns(conversation, first, offset, f[7], reach(pool)) or {}
  local summary = f[8] and summary_before(conversation, first, number)
  local line = summary and summary.line or ''
  if not grows then return {f[1], int(number), int(offset), messages, int(turns), f[6] or '', pinned, line} end
  local last = redis.call('LRANGE', key.messages(conversation), -2, -1)
  return {f[1], int(number), int(offset), messages, int(turns), f[6] or '', pinned, line,
    stored_of(job_of(last[1]), 'request'), stored_of(job_of(last[2]) or job_of(last[1]), 'result')}
end
