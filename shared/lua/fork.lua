-- Go on behind the turn of a job: in its conversation, if that turn is its last one; else in a new one, `fork`,
-- that holds everything up to it, and is gone after `ttl_ms` unless something is submitted to it.
-- Answers {SAME, conversation} · {FORKED, fork} · {GONE} (no such turn of this owner has completed)
local f = job_fields(arg.job, 'status', 'owner', 'conversation', 'number')
if f.owner ~= arg.owner or f.status ~= 'completed' or not f.number then return {'GONE'} end
local source = redis.call('HGETALL', key.conversation(f.conversation))
local c = {}
for i = 1, #source, 2 do c[source[i]] = source[i + 1] end
local first, behind = tonumber(c.first), tonumber(f.number) + 2
if not first or behind > tonumber(c.next) or behind - 2 < first then return {'GONE'} end
local is_last = behind == tonumber(c.next) and redis.call('LLEN', key.pending(f.conversation)) == 0
if is_last and arg.always ~= '1' then return {'SAME', f.conversation} end
c.next, c.updated, c.created, c.window = int(behind), int(now_ms()), int(now_ms()), nil
c.offset = int(math.max(first, math.min(tonumber(c.offset), behind - arg.reach)))
c.turns = int(math.floor((behind - first) / 2))
for name, value in pairs(c) do redis.call('HSET', key.conversation(arg.fork), name, value) end
local messages = redis.call('LRANGE', key.messages(f.conversation), 0, behind - 1 - first)
for i = 1, #messages, 100 do
  redis.call('RPUSH', key.messages(arg.fork), unpack(messages, i, math.min(i + 99, #messages)))
end
redis.call('PEXPIRE', key.conversation(arg.fork), arg.ttl_ms)
redis.call('PEXPIRE', key.messages(arg.fork), arg.ttl_ms)
if arg.owner ~= default_owner and arg.always ~= '1' then
  redis.call('ZADD', key.owned(arg.owner), int(now_ms()), arg.fork)
end
return {'FORKED', arg.fork}
