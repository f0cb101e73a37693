-- How turns start and end.

-- What `finish` needs of a job.
local function ending(job)
  return job_fields(job, 'status', 'owner', 'conversation', 'token', 'worker', 'pool', 'tag', 'home', 'ended_by',
    'stateless', 'session', 'response', 'sequence', 'evaluated', 'progress', 'api')
end

-- Let the first of a conversation's turns start. One that a version before data format 3 accepted goes where that keeps
-- such turns, and is taken along from there (convert.lua).
local function promote(job)
  local f = job_fields(job, 'pool', 'tag', 'conversation', 'owner', 'sequence')
  if f.pool then
    redis.call('HSET', key.job(job), 'readied', int(now_ms()))
    return offer(job, f)
  end
  redis.call('ZADD', key.old_ready(f.owner), f.sequence, job)
  redis.call('ZADD', key.old_owners, 'NX', 0, f.owner)
end

-- Take a turn out of the queue of a version before data format 3, whose workers would start it although it has ended.
local function leave_old_queue(job, owner)
  redis.call('ZREM', key.old_waiting(owner), job)
  if redis.call('ZREM', key.old_ready(owner), job) == 1 and redis.call('EXISTS', key.old_ready(owner)) == 0 then
    redis.call('ZREM', key.old_owners, owner)
  end
end

-- Publish a turn's last event: on the job's own channel, and to the inbox of the API process that submitted the job. Its
-- data are in the job already, and are not stored twice.
local function publish_end(job, f, id, status, published)
  local message = event_message(job, id, status, published)
  redis.call(publish_command, key.doorbell(job), message)
  if f.api then redis.call(publish_command, key.inbox(f.api), message) end
end

-- End a turn: set its state and more `fields` (names and values in turn), publish its last event, promote its successor,
-- set expiries, and release all it held. `f` is what `ending` has. A turn without a reply leaves no prompt behind (unless
-- it is a response, which can be fetched by id), and no conversation that consists of such turns only.
local function finish(job, f, status, fields, published)
  local conversation = f.conversation
  local id = redis.call('XADD', key.events(job), '*', 'e', status, 'd', '')
  redis.call('HSET', key.job(job), 'status', status, 'finished', int(now_ms()),
    'ended_by', f.token or '', 'last_event', id, unpack(fields))
  -- Its text may have been hidden or deleted just now.
  local own = job_fields(job, 'request', 'hidden')
  if own.hidden then
    if own.request ~= '' then
      redis.call('HSET', key.job(job), 'request', plain_request .. string.sub(own.request, #hidden_request + 1))
    end
    redis.call('HDEL', key.job(job), 'hidden')
  end
  if f.stateless or (status ~= 'completed' and not f.response and own.request ~= '') then
    redis.call('HSET', key.job(job), 'request', no_request)
  end
  publish_end(job, f, id, status, published)
  local first = redis.call('LRANGE', key.pending(conversation), 0, 1)
  local was_head = first[1] == job
  local head = first[was_head and 2 or 1]
  redis.call('LREM', key.pending(conversation), 1, job)
  if head and was_head then promote(head) end
  redis.call('PEXPIRE', key.job(job), arg.job_ttl_ms)
  redis.call('PEXPIRE', key.events(job), arg.events_ttl_ms)
  -- By then everything in the list has expired.
  if not head then redis.call('PEXPIRE', key.jobs(conversation), arg.jobs_ttl_ms) end
  if not head and tonumber(arg.conversation_ttl_ms) > 0 then
    redis.call('PEXPIRE', key.conversation(conversation), arg.conversation_ttl_ms)
    redis.call('PEXPIRE', key.messages(conversation), arg.conversation_ttl_ms)
    expire_alternatives(conversation, arg.conversation_ttl_ms)
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
    settle(job, f.owner, math.max(arg.spent or 0, (f.evaluated or 0) + (f.progress or 0)))
  end
  if status == 'failed' then keep_failure(job, fields[2]) end
  redis.call('ZREM', key.open_jobs, job)
  redis.call('SREM', key.open(f.owner), job)
  if f.sequence and f.status == 'queued' then leave_old_queue(job, f.owner) end
  -- One that runs has left the line.
  if f.status ~= 'in_progress' and leave_line(job, f) then give_tag_back(f) end
  if f.token then
    redis.call('ZREM', key.leases, job)
    redis.call('DEL', key.lease(job))
  end
  -- Of no use to anybody from now on, and it is kept for long.
  redis.call('HDEL', key.job(job), 'token', 'worker', 'shielded', 'suspect', 'stop', 'readied', 'sequence')
  if f.stateless then
    -- It cannot be fetched later.
    drop(conversation, f.owner)
    redis.call('PEXPIRE', key.job(job), arg.events_ttl_ms)
    if status ~= 'completed' then forget_text(job) end
  elseif not head and status ~= 'completed' then
    local c = redis.call('HMGET', key.conversation(conversation), 'begun', 'next')
    if c[1] and tonumber(c[2]) <= tonumber(c[1]) and not has_alternatives(conversation) then
      -- None of its own turns has ever completed.
      for _, name in ipairs(redis.call('ZRANGE', key.jobs(conversation), 0, -1)) do
        if not redis.call('HGET', key.job(name), 'response') then forget_text(name) end
      end
      drop(conversation, f.owner)
    end
  end
end

-- Cancel a turn that has not ended; `field` of its job is emptied. Its worker, if it has one, is told.
local function cancel(job, f, field)
  finish(job, f, 'cancelled', {field, ''}, '{}')
  if f.worker then redis.call(publish_command, key.notices(f.worker), 'lost ' .. job) end
end

-- Cancel a turn that has not ended, and keep none of its text. For a while its job still reports that it was cancelled.
local function abandon(job)
  cancel(job, ending(job), 'request')
  forget_text(job)
end

-- Delete a conversation with everything that belongs to it. Its pending turns are cancelled, the last one first, so
-- that none becomes ready; messages, finished jobs and idempotency keys are deleted.
local function erase(conversation, owner)
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
  drop(conversation, owner)
end

-- What a worker gets with a turn: the job, and its conversation.
local function claimed(job)
  local f = job_fields(job, 'token', 'conversation', 'request', 'crashes', 'created', 'started', 'deadline',
    'replace_from', 'continues', 'suspect', 'stop', 'pool', 'owner', 'session', 'readied', 'traceparent')
  return {job, f.token, f.conversation, f.request, f.suspect or '', f.stop or '', f.crashes, f.created, f.started,
    f.deadline, f.readied or f.created, int(now_ms()), f.traceparent or '', f.owner or '', f.session or f.conversation,
    view(f.conversation, f.replace_from, f.pool, f.continues)}
end

-- A worker starts or resumes a turn that has left the line. The new fencing token shuts out every worker that held the
-- turn before. The turn is shielded (shield.lua) if the worker is testing a suspect.
local function start(job, f)
  local starts = int((f.starts or 0) + 1)
  local token = starts .. ':' .. arg.nonce
  redis.call('HSET', key.job(job), 'status', 'in_progress', 'token', token, 'worker', arg.worker, 'starts', starts,
    'started', f.started or int(now_ms()))
  if arg.shielded == '1' then redis.call('HSET', key.job(job), 'shielded', token) end
  redis.call('SET', key.lease(job), arg.worker, 'PX', arg.lease_ms)
  redis.call('ZADD', key.leases, int(now_ms() + arg.lease_ms), job)
  serve(f.pool, f.owner)
  local attempt = int(f.crashes + 1)
  local data = '{"attempt":' .. attempt .. '}'
  publish(job, starts == '1' and 'started' or 'resumed', data, 'm', arg.model or '')
end

-- A turn's worker has it no more: it waits again, where it stood, for any worker.
local function give_back(job, f)
  redis.call('HSET', key.job(job), 'status', 'queued', 'readied', int(now_ms()))
  redis.call('ZREM', key.leases, job)
  redis.call('DEL', key.lease(job))
  redis.call('HDEL', key.job(job), 'token', 'worker', 'permit')
  rejoin_line(job, f)
  offer(job, f, true)
end

-- A worker has a free slot again: whether a turn waits that it may start. If not, it is woken for the next one.
local function next_waits(worker, pool)
  if redis.call('EXISTS', key.own(worker), key.owners(pool)) > 0 then return 1 end
  local w = redis.call('HMGET', key.worker(worker), 'pool', 'draining', 'slots')
  if w[1] == pool and not w[2] then free_slot(worker, pool, tonumber(w[3] or 1)) end
  return 0
end
