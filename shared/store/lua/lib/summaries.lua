-- Summaries of what has left a conversation's window. Each stands for all messages below a number, as long as the message
-- before that number is of the same job: then all before it is the same (lib/edits.lua).

-- So many are kept: what an edit took away may come back, with what was the summary of it.
local SUMMARIES = 4

-- A conversation's summaries, newest first. The field has a line for each: `number turns job JSON`.
local function summaries_of(conversation)
  local all = {}
  for line in string.gmatch(redis.call('HGET', key.conversation(conversation), 'summaries') or '', '[^\n]+') do
    local number, turns, job, text = string.match(line, '^(%d+) (%d+) (%S*) (.*)$')
    all[#all + 1] = {number = tonumber(number), turns = turns, job = job, text = text, line = line}
  end
  return all
end

local function keep_summaries(conversation, lines)
  if #lines == 0 then return redis.call('HDEL', key.conversation(conversation), 'summaries') end
  redis.call('HSET', key.conversation(conversation), 'summaries', table.concat(lines, '\n'))
end

-- Whether what a summary was made from stands.
local function is_standing(summary, conversation, first)
  return job_at(key.messages(conversation), summary.number - 1 - first, '') == summary.job
end

-- The summary of most of what stands before a number; nil if there is none.
local function summary_before(conversation, first, number)
  local best
  for _, summary in ipairs(summaries_of(conversation)) do
    local is_better = summary.number <= number and (not best or summary.number > best.number)
    if is_better and is_standing(summary, conversation, first) then best = summary end
  end
  return best
end

-- The messages before `next_first` are about to be removed. What was made of them stays known; that it stands is told by
-- nothing any more, where nothing that it was made from is left.
local function limit_summaries(conversation, first, next_first)
  local lines = {}
  for _, summary in ipairs(summaries_of(conversation)) do
    if summary.number > next_first then
      lines[#lines + 1] = summary.line
    elseif summary.number == next_first and is_standing(summary, conversation, first) then
      lines[#lines + 1] = int(summary.number) .. ' ' .. summary.turns .. '  ' .. summary.text
    end
  end
  keep_summaries(conversation, lines)
end

-- Add a summary of what stands below a number.
local function add_summary(conversation, first, number, text)
  local job = job_at(key.messages(conversation), number - 1 - first, '')
  local turns = redis.call('HGET', key.conversation(conversation), 'turns') - replies_from(conversation, number - first)
  local lines = {int(number) .. ' ' .. int(turns) .. ' ' .. job .. ' ' .. text}
  for _, summary in ipairs(summaries_of(conversation)) do
    local is_other = summary.number ~= number or summary.job ~= job
    if is_other and #lines < SUMMARIES then lines[#lines + 1] = summary.line end
  end
  keep_summaries(conversation, lines)
end

-- Have what has left the window folded into the summary, by anybody from a moment on; nobody waits for it.
local function fold_later(conversation, pool, moment)
  redis.call('ZADD', key.folds(pool), 'NX', int(moment), conversation)
end
