-- Replace a stored message by the same one with or without its pin. JSON is built by the caller: without `text` the answer
-- is what stands, with `text` that takes the place of `expected`.
-- Answers {GONE} (no such conversation) · {NONE} (no such message) · {BUSY} (a turn is pending that may replace it) ·
-- {IS, the message, the models of the conversation's replies, the job of the message before it, or ''} · {OK, models, job}
local conversation, number = arg.conversation, tonumber(arg.number)
local name, list = key.conversation(conversation), key.messages(conversation)
local f = redis.call('HMGET', name, 'owner', 'stateless', 'first', 'next', 'models', 'updated')
if f[1] ~= arg.owner or f[2] then return {'GONE'} end
local first, next_number = tonumber(f[3]), tonumber(f[4])
if number < first or number >= next_number then return {'NONE'} end
local message, models = redis.call('LINDEX', list, number - first), f[5] or ''
local before = number > first and job_at(list, number - 1 - first, '') or ''
if not arg.text or (message ~= arg.expected and message ~= arg.text) then return {'IS', message, models, before} end
if message ~= arg.text then
  -- A reply that is being continued is written anew when its turn ends.
  if number == next_number - 1 and redis.call('LLEN', key.pending(conversation)) > 0 then return {'BUSY'} end
  tell_list(arg.owner, 'changed', conversation, f[6])
  redis.call('LSET', list, number - first, arg.text)
  note_pins(conversation)
end
return {'OK', models, before}
