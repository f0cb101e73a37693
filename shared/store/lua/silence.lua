-- Milliseconds since a worker of any model was heard of; false if none ever was.
local heard = redis.call('ZRANGE', key.pools, -1, -1, 'WITHSCORES')[2]
return heard and int(now_ms() - heard)
