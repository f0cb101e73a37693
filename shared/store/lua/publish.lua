-- Pieces of replies with their token ids, so that another worker can go on behind them: `n` of them,
-- job1, token1, at1, … `at` counts the ids emitted before it: a piece that is sent a second time is not
-- written a second time. `evaluated` counts the prompt's tokens that were, `prompt` all of them. Answers for each: OK · DUP · FENCED
local outcomes = {}
for i = 1, tonumber(arg.n) do
  local job, at = arg['job' .. i], arg['at' .. i]
  local f = job_fields(job, 'token', 'progress', 'evaluated')
  if f.token ~= arg['token' .. i] then
    outcomes[i] = 'FENCED'
  elseif tonumber(f.progress) > tonumber(at) then
    outcomes[i] = 'DUP'
  else
    redis.call('HSET', key.job(job), 'progress', int(at + arg['count' .. i]),
      'evaluated', int(math.max(f.evaluated or 0, arg['evaluated' .. i])), 'prompt', arg['prompt' .. i])
    emit(job, 'token', arg['piece' .. i], arg['piece' .. i], 'i', arg['ids' .. i])
    outcomes[i] = 'OK'
  end
end
return outcomes
