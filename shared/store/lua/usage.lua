-- What owners have used of each model within a week: for each day with any, {day since the epoch, its counters}
-- (lib/usage.lua), today first.
local days = {}
for back = 0, USAGE_DAYS - 1 do
  local counters = redis.call('HGETALL', key.counted(int(day() - back)))
  if #counters > 0 then days[#days + 1] = {day() - back, counters} end
end
return days
