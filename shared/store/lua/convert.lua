-- Take along the queue of a version before data format 3: turns that wait in its queues join the line in the order in
-- which they were accepted, and turns that its workers run are watched by their leases. Called again and again while
-- processes of such a version may still run. Answers the number of turns that were taken along.
local old = key.old_owners
if redis.call('EXISTS', old, key.old_permits, key.old_claims) == 0 then return 0 end
local number, waiting = 0, {}
for _, job in ipairs(redis.call('ZRANGE', key.open_jobs, 0, -1)) do
  local f = job_fields(job, 'status', 'owner', 'conversation', 'sequence', 'tag', 'pool')
  if f.status == 'queued' and not f.tag then
    waiting[#waiting + 1] = {job, f}
  elseif f.status == 'in_progress' and not redis.call('ZSCORE', key.leases, job) then
    -- A worker of that version has started it; a lease that has run out is noticed at once.
    if not f.pool then redis.call('HSET', key.job(job), 'pool', arg.pool, 'tag', '0') end
    leave_line(job, {pool = f.pool or arg.pool, owner = f.owner})
    redis.call('ZADD', key.leases, int(now_ms()), job)
    number = number + 1
  elseif f.status == 'queued' and redis.call('ZREM', key.old_ready(f.owner), job) == 1 then
    -- Its predecessor was ended by that version.
    if redis.call('LINDEX', key.pending(f.conversation), 0) == job then offer(job, f) end
    number = number + 1
  end
  if f.owner then
    redis.call('DEL', key.old_ready(f.owner), key.old_waiting(f.owner))
  end
end
table.sort(waiting, function(a, b) return tonumber(a[2].sequence or 0) < tonumber(b[2].sequence or 0) end)
for _, entry in ipairs(waiting) do
  local job, f = entry[1], entry[2]
  f.pool, f.tag = arg.pool, join_line(job, arg.pool, f.owner)
  redis.call('HSET', key.job(job), 'pool', f.pool, 'tag', f.tag)
  if redis.call('LINDEX', key.pending(f.conversation), 0) == job then offer(job, f) end
  number = number + 1
end
redis.call('DEL', old, key.old_tags, key.old_clock)
-- Its workers hold their turns by their permits.
if redis.call('HLEN', key.old_claims) == 0 then redis.call('DEL', key.old_permits, key.old_claims) end
return number
