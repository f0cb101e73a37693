-- Accept a prompt: one job, the last of its conversation's pending turns.
-- Repeating it with the same job id changes nothing and gives the same answer; repeating it with the same idempotency
-- key and body names the first job. With `after`, the turn continues the conversation of that job if nothing came
-- later there; otherwise the new conversation gets a copy of everything up to that job's turn. With `behind`, it gets a
-- copy of that conversation as it stands.
-- A stateless turn has its home by the `prefix` that it begins with, a copy has that of what it is a copy of.
-- Answers
--   {OK, conversation, created, …, model} (lib/limits.lua, charge_minute)
--   {SAME, job, conversation, model} the job of this idempotency key
--   {REUSED}                       the idempotency key was used with another body
--   {SPENT, job}                   the idempotency key's job ran, and is not kept any more
--   {GONE}                         this owner has no such conversation
--   {TAKEN}                        the new conversation's id exists
--   {BUSY}                         too many pending turns
--   {REPLACE, next number}         `replace_from` is beyond the end
--   {NOTHING}                      there is no reply to continue (`continues`), and no turn is pending that may leave one
--   {FULL, ms}                     the queue is full; milliseconds until the next start
--   {NO_MODEL, its name, …}        there is no such model; the names of those that are served
--   {NO_WORKER, model}             no worker of the model was heard of lately; without a name: no worker at all
--   {NO_EMBEDDINGS, model}         the model does not embed texts
--   {LIMIT, which, amount, ms}     a limit of the owner; milliseconds until some of it is free
--   {UNKNOWN}                      no such turn to continue after
--   {NO_REPLY, status}             that turn has no reply, or none yet
--   {REPLACED}                     another turn has taken its place
local job, conversation = arg.job, arg.conversation
local accepted = redis.call('HMGET', key.job(job), 'conversation', 'created', 'pool')
if accepted[1] then return {'OK', accepted[1], accepted[2], accepted[3] or ''} end

if arg.idempotency then
  local first = redis.call('HMGET', key.idempotency(arg.idempotency), 'job', 'body', 'conversation')
  if first[1] then
    if first[2] ~= arg.body then return {'REUSED'} end
    if redis.call('EXISTS', key.job(first[1])) == 0 then return {'SPENT', first[1]} end
    return {'SAME', first[1], first[3], redis.call('HGET', key.job(first[1]), 'pool') or ''}
  end
end

-- What is to be copied: {conversation, its first number, the number after the last message to copy}.
local source
if arg.after then
  local f = job_fields(arg.after, 'status', 'owner', 'conversation', 'number', 'stateless', 'request')
  if f.owner ~= arg.owner or f.stateless or f.request == '' then return {'UNKNOWN'} end
  if f.status ~= 'completed' then return {'NO_REPLY', f.status} end
  local c = redis.call('HMGET', key.conversation(f.conversation), 'first', 'next')
  if not c[1] or not f.number then return {'UNKNOWN'} end
  -- An edit may have replaced the turn, or its reply.
  local reply = redis.call('LINDEX', key.messages(f.conversation), f.number + 1 - c[1])
  if not reply or not is_reply(reply) then return {'REPLACED'} end
  -- The reply may have been continued, by this job or by another one.
  if not (has_prompt(f.conversation, f.number, arg.after) or is_of(reply, arg.after)) then return {'REPLACED'} end
  local first, stop = tonumber(c[1]), tonumber(f.number) + 2
  local is_last = stop == tonumber(c[2]) and redis.call('LLEN', key.pending(f.conversation)) == 0
  if is_last and not arg.stateless then
    conversation = f.conversation
  else
    source = {f.conversation, first, stop}
  end
elseif arg.behind then
  local c = redis.call('HMGET', key.conversation(arg.behind), 'owner', 'first', 'next', 'stateless')
  if c[1] ~= arg.owner or c[4] then return {'GONE'} end
  source = {arg.behind, tonumber(c[2]), tonumber(c[3])}
end

local now = now_ms()
local known = redis.call('HMGET', key.conversation(conversation), 'owner', 'next', 'stateless', 'model', 'pool', 'updated')
if arg.new == '1' or source then
  if known[1] then return {'TAKEN'} end
elseif known[1] ~= arg.owner or (known[3] and not arg.stateless) then
  return {'GONE'}
end
local pending = redis.call('LLEN', key.pending(conversation))
if pending >= tonumber(arg.pending_limit) then return {'BUSY'} end
if arg.replace_from then
  -- Every turn before this one adds a prompt, a reply and what it brings along, unless it continues a reply. Replacing
  -- from the next number on is appending.
  local next_number = (tonumber(known[2]) or 1) + 2 * pending
  for _, other in ipairs(redis.call('LRANGE', key.pending(conversation), 0, -1)) do
    local f = job_fields(other, 'brought', 'continues')
    next_number = next_number + (f.brought or 0) - (f.continues and 2 or 0)
  end
  if tonumber(arg.replace_from) > next_number then return {'REPLACE', int(next_number)} end
end
if arg.continues and pending == 0 and not is_cut(redis.call('LINDEX', key.messages(conversation), -1)) then
  return {'NOTHING'}
end
local pool, refusal
if arg.model then
  pool, refusal = named_model(arg.model)
else
  local named, last = known[4], known[5]
  if source then named, last = unpack(redis.call('HMGET', key.conversation(source[1]), 'model', 'pool')) end
  pool, refusal = usual_model(named, last, arg.needs)
end
if not pool then return refusal end
if arg.needs == 'embeddings' and not can(pool, 'embeddings') then return {'NO_EMBEDDINGS', pool} end
if redis.call('ZCARD', key.open_jobs) >= tonumber(arg.queue_limit) then return {'FULL', int(pace(pool).ms or 1000)} end

local limit, until_ms = limit_reached(arg.owner, pool)
if limit then return {'LIMIT', unpack(limit)} end

raise_format()
local tag = join_line(job, pool, arg.owner)
local fields = {'conversation', conversation, 'owner', arg.owner, 'request', arg.request, 'status', 'queued',
  'pool', pool, 'tag', tag, 'created', int(now), 'deadline', int(now + arg.timeout_ms), 'starts', '0', 'crashes', '0',
  'progress', '0'}
for _, name in ipairs({'stateless', 'brought', 'response', 'api', 'replace_from', 'request_id', 'continues',
  'traceparent'}) do
  if arg[name] then fields[#fields + 1], fields[#fields + 2] = name, arg[name] end
end
if pending == 0 then fields[#fields + 1], fields[#fields + 2] = 'readied', int(now) end
redis.call('HSET', key.job(job), unpack(fields))
if arg.stateless then redis.call('HSET', key.conversation(conversation), 'stateless', '1') end
if arg.prefix then go_home(job, conversation, pool, arg.prefix) end
if arg.new == '1' then
  redis.call('HSET', key.conversation(conversation), 'owner', arg.owner, 'context', arg.context,
    'created', int(now), 'updated', int(now), 'first', '1', 'next', '1', 'begun', '1', 'offset', '1',
    'turns', '0', 'tokens', '0', 'pool', pool)
elseif source then
  local from, first, stop = source[1], source[2], source[3]
  local f = redis.call('HMGET', key.conversation(from), 'context', 'offset', 'metadata', 'turns', 'family', 'models',
    'home', 'saves_ms', 'next', 'model', 'memory', 'pins', 'summaries')
  redis.call('HSET', key.conversation(conversation), 'owner', arg.owner, 'context', f[1],
    'created', int(now), 'updated', int(now), 'first', int(first), 'next', int(stop), 'begun', int(stop),
    'offset', int(math.min(stop, turn_from(from, first, math.max(first, math.min(tonumber(f[2]), stop - reach(pool)))))),
    'turns', int(f[4] - replies_from(from, stop - first)), 'tokens', '0', 'metadata', f[3] or '{}')
  if f[6] then redis.call('HSET', key.conversation(conversation), 'models', f[6]) end
  if f[7] then
    -- Its home has the copied part in its cache, too.
    redis.call('HSET', key.conversation(conversation), 'home', f[7],
      'saves_ms', int(math.floor(f[8] * (stop - first) / math.max(1, f[9] - first))))
  end
  if f[10] then redis.call('HSET', key.conversation(conversation), 'model', f[10]) end
  if f[11] then redis.call('HSET', key.conversation(conversation), 'memory', f[11]) end
  if f[12] then redis.call('HSET', key.conversation(conversation), 'pins', f[12]) end
  if f[13] then redis.call('HSET', key.conversation(conversation), 'summaries', f[13]) end
  for at = 0, stop - 1 - first, 100 do
    local messages = redis.call('LRANGE', key.messages(from), at, math.min(at + 99, stop - 1 - first))
    redis.call('RPUSH', key.messages(conversation), unpack(messages))
  end
  if not arg.stateless then
    -- Both contain the same text now: a response is not deleted as long as a copy has it (forget.lua).
    local family = f[5] or job
    redis.call('HSET', key.conversation(from), 'family', family)
    redis.call('HSET', key.conversation(conversation), 'family', family)
    redis.call('SADD', key.family(family), from, conversation)
  end
end
if not arg.stateless then
  if arg.new == '1' or source then
    enlist(conversation, arg.owner)
  else
    -- Another device shows at once what is said on this one.
    tell_list(arg.owner, 'changed', conversation, known[6] or int(now))
  end
end
redis.call('ZADD', key.open_jobs, int(now + arg.timeout_ms), job)
redis.call('SADD', key.open(arg.owner), job)
redis.call('ZADD', key.jobs(conversation), int(now), job)
redis.call('RPUSH', key.pending(conversation), job)
-- Versions before data format 3, where one ends the turn before, let it start by its sequence.
if pending > 0 then redis.call('HSET', key.job(job), 'sequence', tag) end
if not arg.stateless then
  if arg.new ~= '1' then redis.call('HSET', key.conversation(conversation), 'pool', pool) end
  if arg.model == pool then redis.call('HSET', key.conversation(conversation), 'model', pool) end
end
if arg.idempotency then
  redis.call('HSET', key.idempotency(arg.idempotency), 'job', job, 'body', arg.body,
    'conversation', conversation)
  redis.call('PEXPIRE', key.idempotency(arg.idempotency), arg.idempotency_ms)
  -- So that it is deleted with the conversation; "key …" is not a job id.
  redis.call('ZADD', key.jobs(conversation), int(now), 'key ' .. arg.idempotency)
end
local position, eta_ms = place(job, pool, arg.owner)
publish(job, 'queued', string.format('{"job":"%s","id":%s,"position":%d,"eta_seconds":%.1f}',
  job, conversation, position, eta_ms / 1000))
if pending == 0 then
  local is_cold = arg.new == '1' and not arg.prefix
  offer(job, {pool = pool, owner = arg.owner, tag = tag, conversation = conversation}, is_cold)
end
if arg.new ~= '1' then
  redis.call('PERSIST', key.conversation(conversation))
  redis.call('PERSIST', key.messages(conversation))
  expire_alternatives(conversation)
  redis.call('PERSIST', key.jobs(conversation))
  redis.call('ZREMRANGEBYSCORE', key.jobs(conversation), '-inf',
    int(now - arg.timeout_ms - arg.jobs_ttl_ms))
end
local answer = charge_minute(arg.owner, until_ms, conversation)
answer[#answer + 1] = pool
return answer
