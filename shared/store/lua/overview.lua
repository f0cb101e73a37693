-- Turns that run, that wait and that have failed, at most `limit` of each (lib/overview.lua, turn_row). Those that wait are
-- the first of every line, as many of each; those that failed, the last.
-- Answers {how many run, how many wait, how many have failed, the rows of each}
local limit = tonumber(arg.limit)

local function rows_of(jobs)
  local rows = {}
  for _, job in ipairs(jobs) do rows[#rows + 1] = turn_row(job) or nil end
  return rows
end

local lines, waiting = {}, 0
for _, pool in ipairs(redis.call('ZRANGE', key.pools, 0, 99)) do
  local length = redis.call('ZCARD', key.line(pool))
  if length > 0 then lines[#lines + 1] = pool end
  waiting = waiting + length
end
local first = {}
for _, pool in ipairs(lines) do
  local share = math.max(1, math.floor(limit / #lines))
  for _, entry in ipairs(redis.call('ZRANGE', key.line(pool), 0, share - 1)) do
    first[#first + 1] = string.match(entry, ' (%S+)$')
  end
end

return {redis.call('ZCARD', key.leases), waiting, redis.call('ZCARD', key.failures),
  rows_of(redis.call('ZRANGE', key.leases, 0, limit - 1)), rows_of(first),
  rows_of(redis.call('ZREVRANGE', key.failures, 0, limit - 1))}
