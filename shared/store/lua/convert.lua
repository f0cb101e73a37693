-- Take along the queue of a version before data format 3: turns that wait in its queues join the line in the order in
-- which they were accepted, and turns that its workers run are watched by their leases. Called again and again while
-- processes of such a version may still run. Answers the number of turns that were taken along.
if redis.call('EXISTS', key.old_owners, key.old_permits, key.old_claims) == 0 then return 0 end

local waiting, owners, number = {}, {}, 0
for _, job in ipairs(redis.call('ZRANGE', key.open_jobs, 0, -1)) do
  local f = job_fields(job, 'status', 'owner', 'conversation', 'sequence', 'tag', 'pool')
  if f.owner then owners[f.owner] = true end
  if f.status == 'queued' and not f.tag then
    waiting[#waiting + 1] = {job, f}
  elseif f.status == 'in_progress' and not redis.call('ZSCORE', key.leases, job) then
    -- A worker of that version has started it; a lease that has run out is noticed at once.
    if not f.pool then
      f.pool = arg.pool
      redis.call('HSET', key.job(job), 'pool', f.pool, 'tag', '0')
    end
    leave_line(job, f)
    redis.call('ZADD', key.leases, int(now_ms()), job)
    number = number + 1
  elseif f.status == 'queued' and redis.call('ZSCORE', key.old_ready(f.owner), job) then
    -- That version has ended its predecessor, or given it back.
    if not redis.call('ZSCORE', key.line(f.pool), job) then rejoin_line(job, f) end
    if redis.call('LINDEX', key.pending(f.conversation), 0) == job then offer(job, f) end
    number = number + 1
  end
end
table.sort(waiting, function(a, b) return tonumber(a[2].sequence) < tonumber(b[2].sequence) end)
for _, entry in ipairs(waiting) do
  local job, f = entry[1], entry[2]
  f.pool = arg.pool
  f.tag = join_line(job, f.pool, f.owner)
  redis.call('HSET', key.job(job), 'pool', f.pool, 'tag', f.tag)
  if redis.call('LINDEX', key.pending(f.conversation), 0) == job then offer(job, f) end
  number = number + 1
end
for owner in pairs(owners) do redis.call('DEL', key.old_ready(owner), key.old_waiting(owner)) end
redis.call('DEL', key.old_owners, key.old_tags, key.old_clock)

-- Its workers read the stream of permits, and hold their turns by them.
for _, worker in ipairs(redis.call('ZRANGE', key.workers, 0, -1)) do
  local f = redis.call('HMGET', key.worker(worker), 'model', 'pool')
  if f[1] and not f[2] then return number end
end
redis.call('DEL', key.old_permits, key.old_claims, key.old_pace)
return number
