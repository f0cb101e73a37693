-- What owners use of each model, a hash of counters for each day: turns, and their tokens. Numbers alone.

local USAGE_DAYS = 7
-- Counters of a day: of owners and models beyond, nobody is named.
local MOST_COUNTERS = 2000

-- Add to the counters of an owner and a model: `counts` are pairs of a counter's name and a number.
local function count_usage(owner, pool, counts)
  local day_key, whose = key.counted(int(day())), owner .. ' ' .. (pool or '')
  local length = redis.call('HLEN', day_key)
  if length >= MOST_COUNTERS and redis.call('HEXISTS', day_key, 'turns ' .. whose) == 0 then whose = '- ' end
  for _, count in ipairs(counts) do
    if count[2] > 0 then redis.call('HINCRBY', day_key, count[1] .. ' ' .. whose, int(count[2])) end
  end
  if length == 0 then redis.call('PEXPIRE', day_key, USAGE_DAYS * DAY_MS) end
end
