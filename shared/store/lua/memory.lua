-- What is remembered of what has left a conversation's window; first, with `text`, that takes the place of its summary,
-- or, with `forget`, all summaries are deleted, and made anew if `remake`. Whoever is at one adds nothing then.
-- Answers {its mode or '', first kept message, first message of the window, summary (lib/summaries.lua) or '', whether
-- one is due} · false (no such conversation) · NONE (nothing has left the window that could be summarised)
local conversation, name = arg.conversation, key.conversation(arg.conversation)
local f = redis.call('HMGET', name, 'owner', 'stateless', 'first', 'offset', 'memory', 'pool', 'updated', 'next')
if f[1] ~= arg.owner or f[2] then return false end
local first, offset, next_number = tonumber(f[3]), tonumber(f[4]), tonumber(f[8])
local summary = summary_before(conversation, first, next_number)
if arg.text then
  local number = summary and summary.number or offset
  if not summary and offset <= first then return 'NONE' end
  add_summary(conversation, first, number, arg.text)
  summary = summary_before(conversation, first, next_number)
elseif arg.forget then
  redis.call('HDEL', name, 'summaries')
  summary = nil
  if f[6] and arg.remake == '1' and offset > first then fold_later(conversation, f[6], now_ms()) end
end
if arg.text or arg.forget then
  redis.call('HDEL', name, 'fold', 'fold_until', 'fold_tries')
  if f[6] then redis.call('ZADD', key.folds(f[6]), 'XX', int(now_ms()), conversation) end
  tell_list(arg.owner, 'changed', conversation, f[7])
end
local is_due = f[6] and redis.call('ZSCORE', key.folds(f[6]), conversation)
return {f[5] or '', int(first), int(offset), summary and summary.line or '', is_due and 1 or 0}
