-- Conversations: their messages, and what of them a turn sees.

-- Whether a message names this job.
local function is_of(message, job) return string.find(message, '"j":"' .. job .. '"', 1, true) ~= nil end

-- Whether the message with this number is the prompt of this job.
local function has_prompt(conversation, number, job)
  local first = redis.call('HGET', key.conversation(conversation), 'first')
  if not first or tonumber(number) < tonumber(first) then return false end
  local prompt = redis.call('LINDEX', key.messages(conversation), number - first)
  return prompt and is_of(prompt, job)
end

-- Among how many of the first messages the prompt is that a conversation's heading is made from.
local HEADED = 20
local function is_prompt(message) return string.find(message, '"r":"u"', 1, true) == 2 end

local function is_reply(message) return string.find(message, '"r":"a"', 1, true) ~= nil end

-- Whether a message is a reply that a turn can continue: it was cut, not ended, and not by calls.
local function is_cut(message)
  if not message or not is_reply(message) or string.find(message, '"o":[[', 1, true) then return false end
  return string.find(message, '"e":"length"', 1, true) ~= nil or string.find(message, '"e":"stopped"', 1, true) ~= nil
end

-- Whether a message belongs to the turn of the reply before it: that reply's own calls were answered with it.
local function answers_call(message) return string.find(message, '"r":"t"', 1, true) ~= nil end

-- How many replies a list has from an index on. Read in blocks, to save memory.
local function replies_in(list, index)
  local count = 0
  for from = index, redis.call('LLEN', list) - 1, 100 do
    for _, message in ipairs(redis.call('LRANGE', list, from, from + 99)) do
      if is_reply(message) then count = count + 1 end
    end
  end
  return count
end

local function replies_from(conversation, index) return replies_in(key.messages(conversation), index) end

-- Whether the message at an index of a conversation's list is the first of a turn: not a reply nor a call's result, and
-- the first message or preceded by a reply. An edit can leave several prompts in a row.
local function begins_turn(conversation, index)
  if index <= 0 then return true end
  local two = redis.call('LRANGE', key.messages(conversation), index - 1, index)
  return not two[2] or (is_reply(two[1]) and not is_reply(two[2]) and not answers_call(two[2]))
end

-- The first number from `number` on at which a turn begins; `first` is the number of the list's first message.
local function turn_from(conversation, first, number)
  while not begins_turn(conversation, number - first) do number = number + 1 end
  return number
end

-- The widest window of all models; nil if none is known.
local function widest_window()
  local widest
  for _, pool in ipairs(redis.call('ZRANGE', key.pools, 0, -1)) do
    local window = tonumber(redis.call('HGET', key.pool(pool), 'window') or 0)
    if window > (widest or 0) then widest = window end
  end
  return widest
end

-- The most messages that a model's window can show, or any model's if none is named: each takes at least four tokens,
-- scaffold included. Workers report the window of their model; until one has, it is what the caller assumes (`arg.window`).
local function reach(pool)
  local window = pool and redis.call('HGET', key.pool(pool), 'window') or widest_window() or arg.window
  return math.floor(tonumber(window) / 4)
end

-- Alternatives of a conversation (lib/edits.lua): where they are kept, and how long.
local function alternative_key(conversation, id) return key.alternative(conversation .. ':' .. id) end
local function tail_key(conversation, id) return key.tail(conversation .. ':' .. id) end

local function has_alternatives(conversation) return redis.call('EXISTS', key.alternatives(conversation)) == 1 end

local function delete_alternative(conversation, id)
  redis.call('LREM', key.alternatives(conversation), 1, id)
  redis.call('DEL', alternative_key(conversation, id), tail_key(conversation, id))
end

local function delete_alternatives(conversation)
  for _, id in ipairs(redis.call('LRANGE', key.alternatives(conversation), 0, -1)) do
    delete_alternative(conversation, id)
  end
end

-- Let a conversation's alternatives expire with it, or (`ttl_ms` nil) not yet.
local function expire_alternatives(conversation, ttl_ms)
  local names = {key.alternatives(conversation)}
  for _, id in ipairs(redis.call('LRANGE', names[1], 0, -1)) do
    names[#names + 1] = alternative_key(conversation, id)
    names[#names + 1] = tail_key(conversation, id)
  end
  for _, name in ipairs(names) do
    if ttl_ms then redis.call('PEXPIRE', name, ttl_ms) else redis.call('PERSIST', name) end
  end
end

-- Delete what was copied for those who have a link; `share` may be nil.
local function delete_share(share)
  if share then redis.call('DEL', key.share(share), key.shared_messages(share)) end
end

-- Delete a conversation. A `family` of copies that has one member left is deleted, too.
local function drop(conversation, owner)
  local f = redis.call('HMGET', key.conversation(conversation), 'family', 'updated', 'stateless', 'share', 'pool')
  local family = f[1]
  if f[5] then redis.call('ZREM', key.folds(f[5]), conversation) end
  delete_share(f[4])
  delete_alternatives(conversation)
  redis.call('DEL', key.conversation(conversation), key.messages(conversation),
    key.pending(conversation), key.jobs(conversation))
  redis.call('ZREM', key.owned(owner), conversation)
  if f[2] and not f[3] then tell_list(owner, 'deleted', conversation, f[2]) end
  if not family then return end
  redis.call('SREM', key.family(family), conversation)
  if redis.call('SCARD', key.family(family)) > 1 then return end
  for _, last in ipairs(redis.call('SMEMBERS', key.family(family))) do
    redis.call('HDEL', key.conversation(last), 'family')
  end
  redis.call('DEL', key.family(family))
end

-- Delete generated text from a job's log and keep the other events. The log is rebuilt, as deleted entries of a stream
-- would still take memory.
local function forget_text(job)
  local log = redis.call('XRANGE', key.events(job), '-', '+')
  local ttl = redis.call('PTTL', key.events(job))
  redis.call('DEL', key.events(job))
  for _, entry in ipairs(log) do
    if not parts[entry[2][2]] then redis.call('XADD', key.events(job), entry[1], unpack(entry[2])) end
  end
  if ttl > 0 then redis.call('PEXPIRE', key.events(job), ttl) end
end

-- The job of the message at an index of a list: a reply names none, and belongs to that of the message before it. `before`
-- is the job before the list; nil: there is no such message.
local function job_at(list, index, before)
  if index < -1 or index >= redis.call('LLEN', list) then return nil end
  if index == -1 then return before end
  local two = redis.call('LRANGE', list, math.max(0, index - 1), index)
  for i = #two, 1, -1 do
    local job = string.match(two[i], '"j":"([^"]*)"')
    if job then return job end
  end
  return before
end
