-- The alternatives of what stands in a conversation, from any number on or from `number` on, oldest first: {id, when it
-- was replaced, how many messages it has, the first `limit` of them, its models}. False if there is no such conversation.
local conversation = arg.conversation
if redis.call('HGET', key.conversation(conversation), 'owner') ~= arg.owner then return false end
local place, answer = standing(conversation), {}
for _, alternative in ipairs(alternatives_of(conversation)) do
  if alternative.number == tonumber(arg.number or alternative.number) and continues(alternative, place) then
    local f = redis.call('HMGET', alternative_key(conversation, alternative.id), 'replaced', 'models')
    local list = tail_key(conversation, alternative.id)
    answer[#answer + 1] = {alternative.id, f[1], redis.call('LLEN', list),
      redis.call('LRANGE', list, 0, arg.limit - 1), f[2] or ''}
  end
end
return answer
