-- Take along the queue of a version before data format 3: turns that wait in its queues join the line in the order in
-- which they were accepted, and turns that its workers run are watched by their leases. Called again and again while
-- processes of such a version may still run. A call looks at some of the open jobs only, from number `from` on.
-- Answers {how many turns were taken along, from where to look on (-1: it has looked at the last ones)}
if redis.call('EXISTS', key.old_owners, key.old_permits, key.old_claims) == 0 then return {0, -1} end
local READ_MS, JOBS = 60000, 50
local number, waiting = 0, {}

local function offer_first(job, f)
  if redis.call('LINDEX', key.pending(f.conversation), 0) == job then promote(job) end
  number = number + 1
end

local from = tonumber(arg.from)
local jobs = redis.call('ZRANGE', key.open_jobs, from, from + JOBS - 1)
for _, job in ipairs(jobs) do
  local f = job_fields(job, 'status', 'owner', 'conversation', 'sequence', 'tag', 'pool', 'home')
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
  elseif f.status == 'queued' and f.sequence then
    local is_ready = redis.call('ZSCORE', key.old_ready(f.owner), job)
    leave_old_queue(job, f.owner)
    if is_ready then
      -- That version has ended its predecessor, or its worker gave it back.
      if not redis.call('ZSCORE', key.line(f.pool), in_line(job, f.owner)) then rejoin_line(job, f) end
      offer_first(job, f)
    end
  end
end
table.sort(waiting, function(a, b) return tonumber(a[2].sequence or 0) < tonumber(b[2].sequence or 0) end)
for _, entry in ipairs(waiting) do
  local job, f = entry[1], entry[2]
  f.pool, f.tag = arg.pool, join_line(job, arg.pool, f.owner)
  redis.call('HSET', key.job(job), 'pool', f.pool, 'tag', f.tag)
  leave_old_queue(job, f.owner)
  offer_first(job, f)
end
if #jobs == JOBS then return {number, from + JOBS} end

-- What is left there is of jobs that were lost, or has come just now.
for _, owner in ipairs(redis.call('ZRANGE', key.old_owners, 0, 99)) do
  for _, job in ipairs(redis.call('ZRANGE', key.old_ready(owner), 0, 99)) do
    if not redis.call('ZSCORE', key.open_jobs, job) then leave_old_queue(job, owner) end
  end
  if redis.call('EXISTS', key.old_ready(owner)) == 0 then redis.call('ZREM', key.old_owners, owner) end
end
redis.call('DEL', key.old_tags, key.old_clock)

-- Its workers hold their turns by their permits, and read for more every few seconds.
local claims = redis.call('HSCAN', key.old_claims, '0', 'COUNT', '100')[2]
for i = 1, #claims, 2 do
  local f = job_fields(claims[i + 1], 'status', 'permit')
  if f.status ~= 'in_progress' or f.permit ~= claims[i] then redis.call('HDEL', key.old_claims, claims[i]) end
end
local readers = redis.pcall('XINFO', 'CONSUMERS', key.old_permits, 'workers')
for _, reader in ipairs(readers.err and {} or readers) do
  if reader[6] < READ_MS then return {number, -1} end
end
if redis.call('EXISTS', key.old_claims) == 0 then redis.call('DEL', key.old_permits, key.old_pace) end
return {number, -1}
