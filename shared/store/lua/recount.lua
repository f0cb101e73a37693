-- Raise what was counted on a day to what a backup has, wherever that is more: the counters of owners and models
-- (`counters` names `name1`, `value1`, …), or the `tokens` that one owner has used. Days that are over long enough are
-- not kept any more.
local age = day() - tonumber(arg.day)
if arg.tokens and age < 2 then
  local name = key.usage(arg.owner .. ':' .. arg.day)
  if tonumber(redis.call('GET', name) or 0) < tonumber(arg.tokens) then
    redis.call('SET', name, arg.tokens, 'PX', int((2 - age) * DAY_MS))
  end
elseif arg.counters and age < USAGE_DAYS then
  local name = key.counted(arg.day)
  for i = 1, tonumber(arg.counters) do
    local counter, value = arg['name' .. i], arg['value' .. i]
    if tonumber(redis.call('HGET', name, counter) or 0) < tonumber(value) then
      redis.call('HSET', name, counter, value)
    end
  end
  redis.call('PEXPIRE', name, int((USAGE_DAYS - age) * DAY_MS))
end
return 'OK'
