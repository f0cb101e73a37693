-- The first prompts of an owner's `conversations` (ids joined by spaces), for their headings: each is {id, where it
-- stands (message, request or ''), its JSON, when the conversation was used}. A request is that of a turn which has not
-- ended. There may be fewer than were asked for: a call reads so many bytes, and at least one.
local BYTES = 1000000
local prompts, bytes = {}, 0

-- The first prompt among the messages at which a heading looks (HEADED).
local function first_prompt(conversation)
  for at = 0, HEADED - 1 do
    local message = redis.call('LINDEX', key.messages(conversation), at)
    if not message then return end
    if is_prompt(message) then return message end
  end
end

for conversation in string.gmatch(arg.conversations, '%S+') do
  if bytes > BYTES then break end
  local known = redis.call('HMGET', key.conversation(conversation), 'owner', 'updated')
  local where, text = '', ''
  if known[1] == arg.owner then
    local pending = redis.call('LINDEX', key.pending(conversation), 0)
    local message = first_prompt(conversation)
    if message then
      where, text = 'message', message
    elseif pending then
      where, text = 'request', redis.call('HGET', key.job(pending), 'request') or ''
    end
  end
  bytes = bytes + #text
  prompts[#prompts + 1] = {conversation, where, text, known[2] or ''}
end
return prompts
