-- A conversation as a turn needs it: {context, first, next, offset, model, messages}, or false if it is
-- gone. The messages are those from the window's offset on; in front of `replace_from`, if it lies
-- before the offset, at most `reach` of them, because the window then starts anew.
local f = redis.call('HMGET', key.conversation(arg.conversation),
  'context', 'first', 'next', 'offset', 'model')
if not f[1] then return false end
local first, last, offset = tonumber(f[2]), f[3] - 1, tonumber(f[4])
if arg.replace_from and tonumber(arg.replace_from) <= last then
  last = arg.replace_from - 1
  if last < offset then offset = math.max(first, last + 1 - arg.reach) end
end
offset = math.max(offset, first)
local messages = {}
if last >= offset then
  messages = redis.call('LRANGE', key.messages(arg.conversation), offset - first, last - first)
end
return {f[1], int(first), f[3], int(offset), f[5] or '', messages}
