-- Take over one turn of a lost worker: its permit has been idle for the length of a lease, and its lease has expired.
-- Ownership changes only here, after everything that can refuse. The turn may have killed its worker, so it becomes a
-- suspect, unless it was shielded because only another turn was being evaluated.
-- Answers {CLAIMED, …} · {LOST} (it had crashed too many workers, so it was ended) · {FREED} (a permit without a turn
-- was deleted: call again) · {NOTHING} · {OFF} (the clock was stepped)
if clock_is_off() then return {'OFF'} end
local own = redis.call('XPENDING', key.permits, group, '-', '+', 1000, arg.worker)
for _, entry in ipairs(own) do
  -- A repetition: the answer was lost.
  local job = redis.call('HGET', key.claims, entry[1])
  local token = job and redis.call('HGET', key.job(job), 'token') or ''
  if string.sub(token or '', -#arg.nonce) == arg.nonce then return claimed(job) end
end
local idle = redis.call('XPENDING', key.permits, group, 'IDLE', arg.lease_ms, '-', '+', 100)
for _, entry in ipairs(idle) do
  local permit = entry[1]
  local job = redis.call('HGET', key.claims, permit)
  if not job then
    -- Read, but never claimed: its turn still waits. A new permit wakes a worker.
    redis.call('XADD', key.permits, '*', 'j', '')
    free_permit(permit)
    return {'FREED'}
  end
  if redis.call('EXISTS', key.lease(job)) == 0 then
    local f = job_fields(job, 'status', 'token', 'owner', 'permit', 'conversation', 'shielded')
    if f.permit ~= permit or f.status ~= 'in_progress' then
      free_permit(permit)
      return {'FREED'}
    end
    if f.shielded ~= f.token then
      local crashes = redis.call('HINCRBY', key.job(job), 'crashes', 1)
      if crashes >= tonumber(arg.max_attempts) then
        finish(job, f, 'failed', 'error', arg.lost_error, arg.lost_error)
        return {'LOST'}
      end
      redis.call('HSET', key.job(job), 'suspect', '1')
    end
    redis.call('XCLAIM', key.permits, group, arg.worker, 0, permit, 'JUSTID')
    return start(job, permit)
  end
end
return {'NOTHING'}
