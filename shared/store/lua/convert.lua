-- Take along the queue of a version before data format 3: turns that wait in its queues join the line in the order in
-- which they were accepted, and turns that its workers run are watched by their leases. Called again and again while
-- processes of such a version may still run. Answers the number of turns that were taken along.
if redis.call('EXISTS', key.old_owners, key.old_permits, key.old_claims) == 0 then return 0 end
local READ_MS = 60000
local number, waiting, owners = 0, {}, {}

local function offer_first(job, f)
  if redis.call('LINDEX', key.pending(f.conversation), 0) == job then offer(job, f) end
  number = number + 1
end

for _, job in ipairs(redis.call('ZRANGE', key.open_jobs, 0, -1)) do
  local f = job_fields(job, 'status', 'owner', 'conversation', 'sequence', 'tag', 'pool', 'home')
  if f.owner then owners[f.owner] = true end
  if f.status == 'queued' and not f.tag then
    waiting[#waiting + 1] = {job, f}
  elseif f.status == 'in_progress' and not redis.call('ZSCORE', key.leases, job) then
    -- A worker of that version has started it; a lease that has run out is noticed at once.
    if f.tag then
      leave_line(job, f)
    else
      redis.call('HSET', key.job(job), 'pool', arg.pool, 'tag', '0')
    end
    redis.call('ZADD', key.leases, int(now_ms()), job)
    number = number + 1
  elseif f.status == 'queued' and redis.call('ZREM', key.old_ready(f.owner), job) == 1 then
    -- That version has ended its predecessor, or its worker gave it back.
    if not redis.call('ZSCORE', key.line(f.pool), in_line(job, f.owner)) then rejoin_line(job, f) end
    offer_first(job, f)
  end
end
table.sort(waiting, function(a, b) return tonumber(a[2].sequence or 0) < tonumber(b[2].sequence or 0) end)
for _, entry in ipairs(waiting) do
  local job, f = entry[1], entry[2]
  f.pool, f.tag = arg.pool, join_line(job, arg.pool, f.owner)
  redis.call('HSET', key.job(job), 'pool', f.pool, 'tag', f.tag)
  offer_first(job, f)
end
for owner in pairs(owners) do redis.call('DEL', key.old_ready(owner), key.old_waiting(owner)) end
redis.call('DEL', key.old_owners, key.old_tags, key.old_clock)

-- Its workers hold their turns by their permits, and read for more every few seconds.
local claims = redis.call('HGETALL', key.old_claims)
for i = 1, #claims, 2 do
  local f = job_fields(claims[i + 1], 'status', 'permit')
  if f.status ~= 'in_progress' or f.permit ~= claims[i] then redis.call('HDEL', key.old_claims, claims[i]) end
end
local readers = redis.pcall('XINFO', 'CONSUMERS', key.old_permits, 'workers')
for _, reader in ipairs(readers.err and {} or readers) do
  if reader[6] < READ_MS then return number end
end
if redis.call('EXISTS', key.old_claims) == 0 then redis.call('DEL', key.old_permits, key.old_pace) end
return number
