-- A conversation goes, and everything of it: its pending turns are cancelled, the last one first, so
-- that none is promoted; messages and finished jobs are gone. Answers OK · GONE
local conversation = arg.conversation
if redis.call('HGET', key.conversation(conversation), 'owner') ~= arg.owner then return 'GONE' end
local pending = redis.call('LRANGE', key.pending(conversation), 0, -1)
local cancelled = {}
for i = #pending, 1, -1 do
  local job = pending[i]
  local f = job_fields(job, 'token', 'owner', 'permit', 'conversation', 'worker')
  finish(job, f, 'cancelled', 'request', '', '{}')
  if f.worker then redis.call('PUBLISH', key.losses(f.worker), job) end
  cancelled[job] = true
end
for _, job in ipairs(redis.call('ZRANGE', key.jobs(conversation), 0, -1)) do
  if not cancelled[job] then redis.call('DEL', key.job(job), key.events(job)) end
end
redis.call('ZREM', key.owned(arg.owner), conversation)
redis.call('DEL', key.conversation(conversation), key.messages(conversation),
  key.pending(conversation), key.jobs(conversation))
return 'OK'
