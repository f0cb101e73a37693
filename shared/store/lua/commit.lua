-- The turn completed: prompt and reply enter the conversation, after the `earlier` messages that the request brought
-- along, with everything else the turn changes. `number` is the number of the first of these messages; what stands from
-- there on becomes an alternative. A turn that continued the last reply replaces that alone, and keeps nothing of it:
-- `continued` is the job of its prompt.
-- The worker becomes the conversation's home: its cache saves a turn `saves_ms` there. A stateless turn's conversation
-- goes with it; so it becomes the home of whatever begins with `prefix`.
-- Answers {BEHIND, 0, the progress} (publish.lua) · {OK · DUP (this commit was done before) · FENCED · GONE (the conversation was deleted), whether the worker
-- should take another turn (lib/turns.lua)}
local job, conversation = arg.job, arg.conversation
local f = ending(job)
if not f.status then return {'GONE', 1} end
if f.status == 'completed' and f.ended_by == arg.fence then return {'DUP', 1} end
local numbers = redis.call('HMGET', key.conversation(conversation), 'first', 'next', 'turns', 'begun', 'models', 'tokens')
if not numbers[1] then return {'GONE', 1} end
if f.token ~= arg.fence then return {'FENCED', 1} end
if arg.at and tonumber(f.progress) < tonumber(arg.at) then return {'BEHIND', 0, int(f.progress)} end
local first, next_number, number = tonumber(numbers[1]), tonumber(numbers[2]), tonumber(arg.number)
local added = {}
for i = 1, tonumber(arg.earlier or 0) do added[i] = arg['earlier' .. i] end
if not arg.continued then added[#added + 1] = arg.user end
added[#added + 1] = arg.assistant
local continued = arg.continued and job_of(redis.call('LINDEX', key.messages(conversation), -1)) or arg.continued

raise_format()
if number < next_number and not continued and tonumber(arg.alternatives or 0) > 0 then
  put_aside(conversation, number)
end
local models = numbers[5]
if arg.model then
  -- Which model wrote the replies from which message on, a line each: most replies have the same one.
  local lines, last = {}, nil
  for line in string.gmatch(models or '', '[^\n]+') do
    local from, name = string.match(line, '^(%d+) (.*)$')
    if tonumber(from) < number then lines[#lines + 1], last = line, name end
  end
  if last ~= arg.model then lines[#lines + 1] = int(number) .. ' ' .. arg.model end
  models = table.concat(lines, '\n')
end
local turns = numbers[3]
for _, message in ipairs(added) do
  if is_reply(message) then turns = turns + 1 end
end
-- `replace_from`: messages from this number on are removed, and their replies no longer count.
if number < next_number then turns = turns - replies_from(conversation, number - first) end
redis.call('HSET', key.conversation(conversation), 'next', int(number + #added), 'offset', arg.offset,
  'window', arg.window, 'home', f.worker, 'saves_ms', arg.saves_ms, 'models', models or '', 'turns', int(turns),
  'tokens', int((numbers[6] or 0) + arg.tokens), 'updated', int(now_ms()))
if not f.stateless then move_to_front(conversation, f.owner) end
if arg.prefix and f.stateless then
  keep_prefix(f.pool, arg.prefix, f.worker, f.session or conversation, arg.saves_ms)
end
if arg.memory then redis.call('HSET', key.conversation(conversation), 'memory', arg.memory) end
if arg.context then
  if f.response then
    redis.call('HSET', key.job(job), 'context', redis.call('HGET', key.conversation(conversation), 'context'))
  end
  redis.call('HSET', key.conversation(conversation), 'context', arg.context)
end
if numbers[4] and number < tonumber(numbers[4]) then
  redis.call('HSET', key.conversation(conversation), 'begun', arg.number)
end
if number < next_number then
  -- Maybe the first prompt is among them.
  if number < first + HEADED and not continued then redis.call('HDEL', key.conversation(conversation), 'heading') end
  cut_messages(conversation, number)
end
for i = 1, #added, 100 do
  redis.call('RPUSH', key.messages(conversation), unpack(added, i, math.min(i + 99, #added)))
end
if continued then
  -- What followed the shorter reply does not follow this one.
  if has_alternatives(conversation) then prune(conversation, first) end
elseif number < next_number then
  limit_alternatives(conversation)
end
keep_limit(conversation, first, tonumber(arg.offset))
local fields
if continued then
  -- The job whose reply it has continued is deleted with this one (forget.lua).
  fields = {'result', arg.result, 'number', int(number - 1), 'continued', continued}
else
  -- What a response brought along is deleted with it (forget.lua).
  fields = {'result', arg.result, 'number', int(number + #added - 2), 'brought', #added - 2}
end
if arg.folds and not f.stateless then fold_later(conversation, f.pool, now_ms() + arg.folds) end
use_tokens(f.owner, arg.tokens)
count_usage(f.owner, f.pool, {turns = 1, prompt = arg.prompt_tokens, cached = arg.cached_tokens,
  completion = arg.tokens - arg.prompt_tokens})
publish_pieces(job, '', {})
finish(job, f, 'completed', fields, arg.reply)
return {'OK', next_waits(f.worker, f.pool)}
