-- Store an owner's persona in place of the one with this id. There are `most` at most.
-- Answers {OK, 1 if it is new, now} · {FULL}
local personas = key.personas(arg.owner)
local is_new = redis.call('HEXISTS', personas, arg.persona) == 0
if is_new and redis.call('HLEN', personas) >= tonumber(arg.most) then return {'FULL'} end
redis.call('HSET', personas, arg.persona, int(now_ms()) .. ' ' .. arg.text)
return {'OK', is_new and 1 or 0, int(now_ms())}
