-- Delete a response with its text. Its turn leaves the conversation, provided that it is the last one there, or in an
-- alternative, and no copy of the conversation has it. Jobs that continued its reply go with it. A response that has not
-- ended is cancelled.
-- Answers {OK} · {GONE} · {IN_USE, the conversation in which something builds on it}
local function delete_job(conversation, job)
  redis.call('DEL', key.job(job), key.events(job))
  forget_failure(job)
  redis.call('ZREM', key.jobs(conversation), job)
end

local job = arg.job
local f = job_fields(job, 'status', 'owner', 'conversation', 'number', 'request', 'brought', 'context')
if f.owner ~= arg.owner or f.request == '' then return {'GONE'} end
local conversation, number = f.conversation, f.number
if f.status == 'queued' or f.status == 'in_progress' then
  abandon(job)
  redis.call('ZREM', key.jobs(conversation), job)
  return {'OK'}
end

local c = redis.call('HMGET', key.conversation(conversation), 'first', 'next', 'begun', 'offset', 'turns', 'family')
local has_turn = number and has_prompt(conversation, number, job)
local replaced = number and not has_turn and alternative_with(conversation, number, job)
local tail = replaced and tail_key(conversation, replaced.id)
local reply = has_turn and redis.call('LINDEX', key.messages(conversation), number + 1 - c[1])
  or replaced and redis.call('LINDEX', tail, number + 1 - replaced.number)
-- The reply names the last job that continued it, if one did.
local last = reply and job_of(reply) or job
local in_use = (has_turn or replaced) and (is_continued(conversation, job) or is_continued(conversation, last))
if has_turn then
  in_use = in_use or tonumber(c[2]) ~= number + 2 or redis.call('LLEN', key.pending(conversation)) > 0
elseif replaced then
  in_use = in_use or replaced.number + redis.call('LLEN', tail) ~= number + 2
end
if in_use then return {'IN_USE', conversation} end
for _, copy in ipairs(number and c[6] and redis.call('SMEMBERS', key.family(c[6])) or {}) do
  if copy ~= conversation and (has_prompt(copy, number, job) or alternative_with(copy, number, job)) then
    return {'IN_USE', copy}
  end
end

delete_job(conversation, job)
if not has_turn and not replaced then return {'OK'} end
while last do
  local continued = redis.call('HGET', key.job(last), 'continued')
  delete_job(conversation, last)
  last = continued
end
-- What its request brought along precedes its prompt, as far as the history limit has left it.
local begin = int(math.max(number - (f.brought or 0), c[1]))
if replaced then
  if tonumber(begin) > replaced.number then
    cut_alternative(conversation, replaced, begin, f.context)
    return {'OK'}
  end
  delete_alternative(conversation, replaced.id)
  begin = c[2]
end
local is_empty = c[3] and tonumber(begin) <= tonumber(c[3]) and not has_alternatives(conversation)
if is_empty and redis.call('LLEN', key.pending(conversation)) == 0 then
  -- It was the first turn of a conversation that it started.
  drop(conversation, arg.owner)
  return {'OK'}
end
if replaced then return {'OK'} end
local turns = c[5] - replies_from(conversation, begin - c[1])
cut_messages(conversation, tonumber(begin))
redis.call('HSET', key.conversation(conversation), 'next', begin, 'turns', int(turns), 'window', '',
  'offset', int(math.min(c[4], begin)))
use(conversation, arg.owner)
if begin - c[1] < HEADED then redis.call('HDEL', key.conversation(conversation), 'heading') end
if f.context then redis.call('HSET', key.conversation(conversation), 'context', f.context) end
return {'OK'}
