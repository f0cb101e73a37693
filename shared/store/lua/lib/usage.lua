-- What owners use of each model, a hash for each day: a row for each owner and model has its numbers in this order. Numbers
-- alone.

local USAGE_DAYS = 7
-- Rows of a day: of owners and models beyond, nobody is named.
local MOST_ROWS = 500
local COUNTED = {'turns', 'prompt', 'cached', 'completion', 'unfinished'}

-- Add to the row of an owner and a model.
local function count_usage(owner, pool, counts)
  local day_key, whose = key.counted(int(day())), owner .. ' ' .. (pool or '')
  local stored, rows = redis.call('HGET', day_key, whose), nil
  if not stored then
    rows = redis.call('HLEN', day_key)
    if rows >= MOST_ROWS then
      whose = '- '
      stored = redis.call('HGET', day_key, whose)
    end
  end
  local row, numbers = {}, string.gmatch(stored or '', '%d+')
  for i, name in ipairs(COUNTED) do row[i] = int((numbers() or 0) + (counts[name] or 0)) end
  redis.call('HSET', day_key, whose, table.concat(row, ' '))
  if rows == 0 then redis.call('PEXPIRE', day_key, USAGE_DAYS * DAY_MS) end
end
