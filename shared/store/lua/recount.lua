-- Raise what was counted on a day to what a backup has, wherever that is more: the numbers of owners and models (`rows` of
-- them: `name1`, `row1`, …), or the `tokens` that one owner has used. Days that are over long enough are not kept any more.
local age = day() - tonumber(arg.day)
if arg.tokens and age < 2 then
  local name = key.usage(arg.owner .. ':' .. arg.day)
  if tonumber(redis.call('GET', name) or 0) < tonumber(arg.tokens) then
    redis.call('SET', name, arg.tokens, 'PX', int((2 - age) * DAY_MS))
  end
elseif arg.rows and age < USAGE_DAYS then
  local name = key.counted(arg.day)
  for i = 1, tonumber(arg.rows) do
    local numbers = string.gmatch(redis.call('HGET', name, arg['name' .. i]) or '', '%d+')
    local raised = string.gsub(arg['row' .. i], '%d+', function(number)
      return int(math.max(number, numbers() or 0))
    end)
    redis.call('HSET', name, arg['name' .. i], raised)
  end
  redis.call('PEXPIRE', name, int((USAGE_DAYS - age) * DAY_MS))
end
return 'OK'
