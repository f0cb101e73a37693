-- The turns that an id belongs to (lib/overview.lua, turn_row): of a `job`, the last ones of a `conversation`, or of a
-- `request`; requests are known of turns that have not ended, and of those that have failed. These are looked at from the
-- place `from` on, so many of each.
local MOST, LOOKED_AT = 100, 200
local jobs = {}
if arg.job then
  jobs = {arg.job}
elseif arg.conversation then
  for _, name in ipairs(redis.call('ZREVRANGE', key.jobs(arg.conversation), 0, MOST - 1)) do
    if not string.find(name, '^key ') then jobs[#jobs + 1] = name end
  end
else
  local from = tonumber(arg.from)
  for _, job in ipairs(redis.call('ZRANGE', key.open_jobs, from, from + LOOKED_AT - 1)) do
    if redis.call('HGET', key.job(job), 'request_id') == arg.request then jobs[#jobs + 1] = job end
  end
  for _, job in ipairs(redis.call('ZREVRANGE', key.failures, from, from + LOOKED_AT - 1)) do
    local row = failure_row(job)
    if row and row[13] == arg.request then jobs[#jobs + 1] = job end
  end
end
local rows = {}
for _, job in ipairs(jobs) do rows[#rows + 1] = turn_row(job) or nil end
return rows
