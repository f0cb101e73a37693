-- What owners have used of each model on a day, so many days `back`: {day since the epoch, its rows (lib/usage.lua)}.
local back = day() - tonumber(arg.back)
return {int(back), redis.call('HGETALL', key.counted(int(back)))}
