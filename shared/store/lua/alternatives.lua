-- The alternatives of a conversation, from any number on or from `number` on, in the order in which they were replaced: {id,
-- when it was replaced, how many messages it has, the first `limit` of them, its models, its instructions, the one under
-- which it belongs, or ''}. Without `all` only those of what stands. False if there is no such conversation.
local conversation = arg.conversation
if redis.call('HGET', key.conversation(conversation), 'owner') ~= arg.owner then return false end
local answer = {}
for _, alternative in ipairs((traced(conversation, 0))) do
  if alternative.number == tonumber(arg.number or alternative.number) and (arg.all or not alternative.under) then
    local f = redis.call('HMGET', alternative_key(conversation, alternative.id), 'replaced', 'models', 'context')
    local list = tail_key(conversation, alternative.id)
    answer[#answer + 1] = {alternative.id, f[1], redis.call('LLEN', list),
      redis.call('LRANGE', list, 0, arg.limit - 1), f[2] or '', f[3] or '', alternative.under or ''}
  end
end
return answer
