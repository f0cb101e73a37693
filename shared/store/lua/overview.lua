-- Turns that `state` says, 'running', 'waiting' or 'failed', at most `limit` (lib/overview.lua, turn_row). Of those that
-- wait the first of every line, as many of each; of those that failed the last.
-- Answers {how many there are, their rows}
local limit = tonumber(arg.limit)

local function rows_of(jobs)
  local rows = {}
  for _, job in ipairs(jobs) do rows[#rows + 1] = turn_row(job) or nil end
  return rows
end

if arg.state == 'running' then
  return {redis.call('ZCARD', key.leases), rows_of(redis.call('ZRANGE', key.leases, 0, limit - 1))}
end
if arg.state == 'failed' then
  return {redis.call('ZCARD', key.failures), rows_of(redis.call('ZREVRANGE', key.failures, 0, limit - 1))}
end
local lines, waiting, first = {}, 0, {}
for _, pool in ipairs(redis.call('ZRANGE', key.pools, 0, 99)) do
  local length = redis.call('ZCARD', key.line(pool))
  if length > 0 then lines[#lines + 1] = pool end
  waiting = waiting + length
end
for _, pool in ipairs(lines) do
  local share = math.max(1, math.floor(limit / #lines))
  for _, entry in ipairs(redis.call('ZRANGE', key.line(pool), 0, share - 1)) do
    first[#first + 1] = string.match(entry, ' (%S+)$')
  end
end
return {waiting, rows_of(first)}
