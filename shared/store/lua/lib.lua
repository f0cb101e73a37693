-- What the scripts share. Python puts constants before it (`prelude` in shared/store/scripts.py): the key names as
-- `key`, and `ns`, `group`, `default_owner`, `ended`.
--
-- Every script is called with the namespace in ARGV[1], followed by named arguments. It starts with everything that can
-- refuse. Then come writes that Redis may deny when memory is short, the first of them before anything else has
-- changed; acknowledgements come last. Ids stay strings, as Lua's numbers would garble large ones. JSON is built in
-- Python and opaque here.

-- What remains of a request whose text was deleted.
local no_request = '{"prompt":""}'

local arg = {}
for i = 2, #ARGV, 2 do arg[ARGV[i]] = ARGV[i + 1] end

-- Milliseconds since the epoch, the same throughout a script.
local moment
local function now_ms()
  if not moment then
    local t = redis.call('TIME')
    moment = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return moment
end

-- Whether the server's clock was stepped: it is not where the caller, by a clock that nobody can set, expects it.
-- Stored times mean nothing until they have been shifted (shift.lua).
local function clock_is_off()
  return arg.earliest and (now_ms() < tonumber(arg.earliest) or now_ms() > tonumber(arg.latest))
end

local function int(n) return string.format('%.0f', n) end

-- Days since the epoch, UTC.
local DAY_MS = 86400000
local function day() return math.floor(now_ms() / DAY_MS) end

-- A job's fields by name; all false if there is no such job.
local function job_fields(job, ...)
  local values, fields = redis.call('HMGET', key.job(job), ...), {}
  for i, name in ipairs({...}) do fields[name] = values[i] end
  return fields
end

-- Raise the data's format before something is stored that older versions cannot read (`arg.format`). Until then they
-- can be started on the same data.
local function raise_format()
  if arg.format and redis.call('GET', key.schema) ~= arg.format then redis.call('SET', key.schema, arg.format) end
end

-- Versions before data format 2 would go on with the text of a reply alone, and lose its thoughts and calls. They read
-- only requests that begin with the prompt, and fail others by name: so that is how a reply in parts begins to be one,
-- until it ends (`finish`).
local plain_request, hidden_request = '{"prompt":', '{"input":'
local function hide_request(job)
  local f = job_fields(job, 'request', 'hidden')
  if f.hidden or string.sub(f.request, 1, #plain_request) ~= plain_request then return end
  redis.call('HSET', key.job(job), 'hidden', '1',
    'request', hidden_request .. string.sub(f.request, #plain_request + 1))
end

-- Append an event to the job's log and publish it: on the job's own channel and, for a terminal event, to the inbox of
-- the API process that submitted the job. `published` may be more than `logged`: a terminal event's data are in the
-- job already, and are stored once. `extra` is a field of the log alone: a piece's token ids (`i`), or the model of a
-- start (`m`). Returns how many API processes heard it on the job's channel.
local function publish(job, kind, logged, published, extra, value)
  local id
  if extra then
    id = redis.call('XADD', key.events(job), '*', 'e', kind, 'd', logged, extra, value)
  else
    id = redis.call('XADD', key.events(job), '*', 'e', kind, 'd', logged)
  end
  local message = job .. ' ' .. id .. ' ' .. kind .. ' ' .. (published or logged)
  local heard = redis.call('PUBLISH', key.doorbell(job), message)
  if ended[kind] then
    redis.call('HSET', key.job(job), 'last_event', id)
    local api = redis.call('HGET', key.job(job), 'api')
    if api then redis.call('PUBLISH', key.inbox(api), message) end
  end
  return heard
end

-- Publish the pieces in the arguments whose names have this suffix, each with its token ids. Returns how many API
-- processes heard the last one.
local function publish_pieces(job, suffix)
  local heard = 0
  for i = 1, tonumber(arg['pieces' .. suffix]) do
    local which = suffix .. '.' .. i
    local piece, kind = arg['piece' .. which], arg['event' .. which]
    if kind ~= 'token' then hide_request(job) end
    heard = publish(job, kind, piece, piece, 'i', arg['ids' .. which])
  end
  return heard
end

-- The virtual time at which an owner with nothing ready would join: that of the turn served last, as idling earns no
-- credit; or the owner's own if that is later, as leaving and coming back earns none either.
local function joining_time(owner)
  return math.max(tonumber(redis.call('GET', key.clock) or 0),
    tonumber(redis.call('HGET', key.tags, owner) or 0))
end

-- Let a turn start: put it into its owner's queue, by its sequence, and wake one worker.
local function make_ready(job, owner, sequence)
  redis.call('ZADD', key.ready(owner), sequence, job)
  redis.call('ZADD', key.owners, 'NX', joining_time(owner), owner)
  redis.call('HDEL', key.tags, owner)
  redis.call('XADD', key.permits, '*', 'j', job)
end

-- Delete a permit: acknowledged, and no longer bound to a turn.
local function free_permit(permit)
  redis.call('XACK', key.permits, group, permit)
  redis.call('XDEL', key.permits, permit)
  redis.call('HDEL', key.claims, permit)
end

-- The next turn to start: that of the owner with the smallest virtual time; false if none is ready.
local function next_ready()
  local owner = redis.call('ZRANGE', key.owners, 0, 0)[1]
  if not owner then return false end
  return redis.call('ZRANGE', key.ready(owner), 0, 0)[1]
end

-- Take a turn out of its owner's queue and add `cost` to the owner's virtual time: 1 if the turn is served, 0 if it has
-- ended. The time of an owner with nothing left is remembered.
local function leave_queue(job, owner, cost)
  if redis.call('ZREM', key.ready(owner), job) == 0 then return end
  local time = redis.call('ZSCORE', key.owners, owner) or '0'
  if cost > 0 then redis.call('SET', key.clock, time) end
  if redis.call('EXISTS', key.ready(owner)) == 0 then
    redis.call('ZREM', key.owners, owner)
    redis.call('HSET', key.tags, owner, int(time + cost))
  else
    redis.call('ZINCRBY', key.owners, cost, owner)
  end
end

-- How often turns start: `ms` between two starts while turns wait for a free slot (nil if never measured), and `since`
-- the last start. It is the mean of about twenty intervals: slots become free in bursts.
local known_pace
local function pace()
  if not known_pace then
    local f = redis.call('HMGET', key.pace, 'time', 'starts', 'last')
    known_pace = f[1] and {ms = f[1] / f[2], since = now_ms() - f[3]} or {}
  end
  return known_pace
end

-- Measure the pace when a turn starts. The interval before it counts only if turns were ready all the time; otherwise it
-- shows how rarely prompts come.
local function keep_pace()
  local f = redis.call('HMGET', key.pace, 'last', 'busy', 'time', 'starts')
  if f[2] == '1' then
    redis.call('HSET', key.pace, 'time', tostring(0.95 * (f[3] or 0) + now_ms() - f[1]),
      'starts', tostring(0.95 * (f[4] or 0) + 1))
  end
  redis.call('HSET', key.pace, 'last', int(now_ms()), 'busy', redis.call('EXISTS', key.owners))
end

-- Owners with ready turns: name, virtual time, number of waiting turns. Read once in a script.
local known_owners
local function owners()
  if not known_owners then
    known_owners = {}
    local listed = redis.call('ZRANGE', key.owners, 0, -1, 'WITHSCORES')
    for i = 1, #listed, 2 do
      known_owners[#known_owners + 1] =
        {listed[i], tonumber(listed[i + 1]), redis.call('ZCARD', key.waiting(listed[i]))}
    end
  end
  return known_owners
end

-- How many turns of other owners start before the turn with `rank` turns of its own owner before it. Each start adds 1
-- to its owner's virtual time, and the owner with the smallest is served next.
local function others_before(owner, rank)
  local mine, count = nil, 0
  for _, other in ipairs(owners()) do
    if other[1] == owner then mine = other[2] end
  end
  local time = rank + (mine or joining_time(owner))
  for _, other in ipairs(owners()) do
    if other[1] ~= owner then
      local ahead = time - other[2]
      local starts = math.ceil(ahead)
      if starts == ahead and other[1] < owner then starts = starts + 1 end
      count = count + math.max(0, math.min(starts, other[3]))
    end
  end
  return count
end

-- A turn's position in the queue, from 1, and the milliseconds until it starts at the present pace; false if it does
-- not wait.
local function place(job, owner)
  local rank = redis.call('ZRANK', key.waiting(owner), job)
  if not rank then return false end
  local position = rank + 1 + others_before(owner, rank)
  local ms, since = pace().ms, pace().since
  if not ms then return position, 0 end
  return position, math.max(0, math.floor(position * ms - math.min(since, ms)))
end

-- Add to the tokens that an owner has used today.
local function use_tokens(owner, tokens)
  if owner == default_owner or tonumber(tokens) == 0 then return end
  local usage = key.usage(owner .. ':' .. day())
  redis.call('INCRBY', usage, tokens)
  redis.call('PEXPIRE', usage, 2 * DAY_MS)
end

-- The first limit that an owner has reached: {which, how much it allows, milliseconds until some of it is free}. If
-- there is none: false, and the time until which this prompt uses up the rate. Each prompt costs its share of a minute,
-- and up to a whole minute may be owed; more is owed only if the clock was set back.
local function limit_reached(owner)
  local now = now_ms()
  local until_ms = math.max(now, math.min(now + 60000, tonumber(redis.call('GET', key.rate(owner)) or now)))
  if arg.rate_limit then
    until_ms = until_ms + 60000 / arg.rate_limit
    if until_ms > now + 60000 then
      return {'requests', arg.rate_limit, int(math.ceil(until_ms - now - 60000))}
    end
  end
  if arg.in_flight_limit and redis.call('SCARD', key.open(owner)) >= tonumber(arg.in_flight_limit) then
    return {'in_flight', arg.in_flight_limit, int(pace().ms or 1000)}
  end
  if arg.queued_limit and redis.call('ZCARD', key.waiting(owner)) >= tonumber(arg.queued_limit) then
    return {'queued', arg.queued_limit, int(pace().ms or 1000)}
  end
  if arg.tokens_limit then
    local used = tonumber(redis.call('GET', key.usage(owner .. ':' .. day())) or 0)
    if used >= tonumber(arg.tokens_limit) then
      return {'tokens', arg.tokens_limit, int((day() + 1) * DAY_MS - now)}
    end
  end
  return false, until_ms
end

-- Charge a prompt to the owner's rate, and answer {OK, conversation, now}; with a limit of prompts a minute also how
-- many are left, and the milliseconds until all of them are available again.
local function charge_minute(owner, until_ms, conversation)
  if not arg.rate_limit then return {'OK', conversation, int(now_ms())} end
  local owed = until_ms - now_ms()
  redis.call('SET', key.rate(owner), string.format('%.3f', until_ms), 'PX', int(owed + 1))
  return {'OK', conversation, int(now_ms()), int(math.floor((60000 - owed) * arg.rate_limit / 60000)), int(owed)}
end

-- Whether the message with this number is the prompt of this job.
local function has_prompt(conversation, number, job)
  local first = redis.call('HGET', key.conversation(conversation), 'first')
  if not first or tonumber(number) < tonumber(first) then return false end
  local prompt = redis.call('LINDEX', key.messages(conversation), number - first)
  return prompt and string.find(prompt, '"j":"' .. job .. '"', 1, true) ~= nil
end

local function is_reply(message) return string.find(message, '"r":"a"', 1, true) ~= nil end

-- Whether a message belongs to the turn of the reply before it: that reply's own calls were answered with it.
local function answers_call(message) return string.find(message, '"r":"t"', 1, true) ~= nil end

-- How many replies a conversation's list has from an index on. Read in blocks, to save memory.
local function replies_from(conversation, index)
  local count = 0
  for from = index, redis.call('LLEN', key.messages(conversation)) - 1, 100 do
    for _, message in ipairs(redis.call('LRANGE', key.messages(conversation), from, from + 99)) do
      if is_reply(message) then count = count + 1 end
    end
  end
  return count
end

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

-- Apply `history_limit` to a conversation that starts at `first`. Whole turns are removed, and none from `offset` on,
-- which the window may show.
local function keep_limit(conversation, first, offset)
  local cut = redis.call('LLEN', key.messages(conversation)) - arg.history_limit
  if tonumber(arg.history_limit) <= 0 or cut <= 0 or offset <= first then return end
  cut = math.min(turn_from(conversation, first, first + cut), offset) - first
  redis.call('LTRIM', key.messages(conversation), cut, -1)
  redis.call('HSET', key.conversation(conversation), 'first', int(first + cut))
end

-- The most messages that a window can show: each takes at least four tokens, scaffold included. Workers report the
-- window; until one has, it is what the caller assumes (`arg.window`).
local function reach()
  return math.floor(tonumber(redis.call('GET', key.window) or arg.window) / 4)
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
  -- Otherwise only a commit moves the window's offset: skip what could never be in the window.
  local first, offset = tonumber(c[4]), tonumber(c[5])
  if number - reach() > offset then offset = turn_from(conversation, first, math.max(first, number - reach())) end
  redis.call('HSET', name, 'next', int(number), 'turns', int(turns), 'offset', int(offset))
  keep_limit(conversation, first, offset)
  return bytes
end

-- Delete a conversation. A `family` of copies that has one member left is deleted, too.
local function drop(conversation, owner)
  local family = redis.call('HGET', key.conversation(conversation), 'family')
  redis.call('DEL', key.conversation(conversation), key.messages(conversation),
    key.pending(conversation), key.jobs(conversation))
  redis.call('ZREM', key.owned(owner), conversation)
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

-- Charge the owner for the tokens of a turn that ended without a reply, less what was charged before.
local function settle(job, owner, tokens)
  local paid = tonumber(redis.call('HGET', key.job(job), 'paid') or 0)
  if tonumber(tokens) <= paid then return end
  redis.call('HSET', key.job(job), 'paid', int(tokens))
  use_tokens(owner, int(tokens - paid))
end

-- End a turn: set its state, publish its last event, promote its successor, set expiries, and release all it held. `f`
-- has the job's conversation, owner, permit and token. A turn without a reply leaves no prompt behind (unless it is a
-- response, which can be fetched by id), and no conversation that consists of such turns only.
local function finish(job, f, status, field, value, published)
  local conversation = f.conversation
  redis.call('HSET', key.job(job), 'status', status, 'finished', int(now_ms()),
    'ended_by', f.token or '', field, value)
  local own = job_fields(job, 'stateless', 'response', 'evaluated', 'progress', 'request', 'hidden')
  if own.hidden then
    -- Unless its text was deleted just now.
    if own.request ~= '' then
      redis.call('HSET', key.job(job), 'request', plain_request .. string.sub(own.request, #hidden_request + 1))
    end
    redis.call('HDEL', key.job(job), 'hidden')
  end
  if own.stateless or (status ~= 'completed' and not own.response and own.request ~= '') then
    redis.call('HSET', key.job(job), 'request', no_request)
  end
  publish(job, status, '', published)
  local was_head = redis.call('LINDEX', key.pending(conversation), 0) == job
  redis.call('LREM', key.pending(conversation), 1, job)
  local head = redis.call('LINDEX', key.pending(conversation), 0)
  if head and was_head then
    local next_turn = job_fields(head, 'owner', 'sequence')
    make_ready(head, next_turn.owner, next_turn.sequence)
  end
  redis.call('PEXPIRE', key.job(job), arg.job_ttl_ms)
  redis.call('PEXPIRE', key.events(job), arg.events_ttl_ms)
  -- By then everything in the list has expired.
  if not head then redis.call('PEXPIRE', key.jobs(conversation), arg.jobs_ttl_ms) end
  if not head and tonumber(arg.conversation_ttl_ms) > 0 then
    redis.call('PEXPIRE', key.conversation(conversation), arg.conversation_ttl_ms)
    redis.call('PEXPIRE', key.messages(conversation), arg.conversation_ttl_ms)
    if tonumber(arg.conversation_ttl_ms) < tonumber(arg.jobs_ttl_ms) then
      redis.call('PEXPIRE', key.jobs(conversation), arg.conversation_ttl_ms)
    end
    local family = redis.call('HGET', key.conversation(conversation), 'family')
    if family then
      redis.call('SADD', key.family(family), conversation)
      redis.call('PEXPIRE', key.family(family), arg.conversation_ttl_ms)
    end
  end
  -- What was generated is charged: a reply cut short just before its end was delivered almost whole.
  if status ~= 'completed' then
    settle(job, f.owner, math.max(arg.spent or 0, (own.evaluated or 0) + (own.progress or 0)))
  end
  redis.call('ZREM', key.open_jobs, job)
  redis.call('SREM', key.open(f.owner), job)
  leave_queue(job, f.owner, 0)
  redis.call('ZREM', key.waiting(f.owner), job)
  if f.permit then free_permit(f.permit) end
  redis.call('DEL', key.lease(job))
  redis.call('HDEL', key.job(job), 'token', 'permit', 'worker', 'shielded', 'suspect')
  if own.stateless then
    -- It cannot be fetched later.
    drop(conversation, f.owner)
    redis.call('PEXPIRE', key.job(job), arg.events_ttl_ms)
    if status ~= 'completed' then forget_text(job) end
  elseif not head and status ~= 'completed' then
    local c = redis.call('HMGET', key.conversation(conversation), 'begun', 'next')
    if c[1] and tonumber(c[2]) <= tonumber(c[1]) then
      -- None of its own turns has ever completed.
      for _, name in ipairs(redis.call('ZRANGE', key.jobs(conversation), 0, -1)) do
        if not redis.call('HGET', key.job(name), 'response') then forget_text(name) end
      end
      drop(conversation, f.owner)
    end
  end
end

-- Cancel a turn that has not ended, and keep none of its text. For a while its job still reports that it was cancelled.
local function abandon(job)
  local f = job_fields(job, 'token', 'owner', 'permit', 'conversation', 'worker')
  finish(job, f, 'cancelled', 'request', '', '{}')
  if f.worker then redis.call('PUBLISH', key.notices(f.worker), 'lost ' .. job) end
  forget_text(job)
end

-- A conversation as a turn needs it: {context, next, offset, messages, turns}, or false if it is gone.
-- The messages are those from the window's offset on. If `replace_from` lies before the offset, the window starts
-- again: then they are the last `reach` messages before `replace_from`. `next` is the number of the turn's prompt,
-- `turns` the number of completed turns before it.
local function view(conversation, replace_from)
  local f = redis.call('HMGET', key.conversation(conversation),
    'context', 'first', 'next', 'offset', 'turns')
  if not f[1] then return false end
  local first, number, offset, turns = tonumber(f[2]), tonumber(f[3]), tonumber(f[4]), tonumber(f[5])
  if replace_from and tonumber(replace_from) < number then
    number = math.max(first, tonumber(replace_from))
    turns = turns - replies_from(conversation, number - first)
    if number <= offset then
      offset = math.min(number, turn_from(conversation, first, math.max(first, number - reach())))
    end
  end
  offset = math.max(offset, first)
  local messages = {}
  if number > offset then
    messages = redis.call('LRANGE', key.messages(conversation), offset - first, number - 1 - first)
  end
  return {f[1], int(number), int(offset), messages, int(turns)}
end

-- What a worker gets with a turn: the job, and its conversation.
local function claimed(job)
  local f = job_fields(job, 'permit', 'token', 'conversation', 'request', 'crashes', 'created',
    'started', 'deadline', 'replace_from', 'suspect')
  return {'CLAIMED', job, f.permit, f.token, f.conversation, f.request, f.suspect or '',
    f.crashes, f.created, f.started, f.deadline, int(now_ms()),
    view(f.conversation, f.replace_from)}
end

-- A worker starts or resumes a turn. The new fencing token shuts out every worker that held the turn before. The turn is
-- shielded (shield.lua) if the worker is testing a suspect.
local function start(job, permit)
  local starts = redis.call('HINCRBY', key.job(job), 'starts', 1)
  local token = starts .. ':' .. arg.nonce
  redis.call('HSET', key.job(job), 'status', 'in_progress', 'token', token, 'permit', permit,
    'worker', arg.worker)
  if arg.shielded == '1' then redis.call('HSET', key.job(job), 'shielded', token) end
  redis.call('HSETNX', key.job(job), 'started', int(now_ms()))
  redis.call('HSET', key.claims, permit, job)
  redis.call('SET', key.lease(job), arg.worker, 'PX', arg.lease_ms)
  local attempt = int(redis.call('HGET', key.job(job), 'crashes') + 1)
  local data = '{"attempt":' .. attempt .. '}'
  publish(job, starts == 1 and 'started' or 'resumed', data, data, 'm', arg.model or '')
  return claimed(job)
end
