-- Milliseconds since any worker was heard of; false if none ever was.
local heard = redis.call('ZRANGE', key.workers, -1, -1, 'WITHSCORES')[2]
return heard and int(now_ms() - heard)
