-- Delete a conversation with everything that belongs to it. Its pending turns are cancelled, the last one first, so
-- that none becomes ready; messages, finished jobs and idempotency keys are deleted. Answers OK · GONE
local conversation = arg.conversation
if redis.call('HGET', key.conversation(conversation), 'owner') ~= arg.owner then return 'GONE' end
local pending = redis.call('LRANGE', key.pending(conversation), 0, -1)
local listed = redis.call('ZRANGE', key.jobs(conversation), 0, -1)
local cancelled = {}
for i = #pending, 1, -1 do
  abandon(pending[i])
  cancelled[pending[i]] = true
end
for _, name in ipairs(listed) do
  local idempotency = string.match(name, '^key (.+)')
  if idempotency then
    redis.call('DEL', key.idempotency(idempotency))
  elseif not cancelled[name] then
    redis.call('DEL', key.job(name), key.events(name))
    forget_failure(name)
  end
end
drop(conversation, arg.owner)
return 'OK'
