-- Publish pieces of replies with their token ids, from which another worker can continue: `n` pieces, with job1, fence1,
-- at1, … `at` is the number of ids published before the piece; a piece that is sent again is not written again.
-- `prompt` counts the prompt's tokens, `evaluated` those that were in no cache. Answers for each: OK · DUP · FENCED
local outcomes = {}
for i = 1, tonumber(arg.n) do
  local job, at = arg['job' .. i], arg['at' .. i]
  local f = job_fields(job, 'token', 'progress', 'evaluated')
  if f.token ~= arg['fence' .. i] then
    outcomes[i] = 'FENCED'
  elseif tonumber(f.progress) > tonumber(at) then
    outcomes[i] = 'DUP'
  else
    redis.call('HSET', key.job(job), 'progress', int(at + arg['count' .. i]),
      'evaluated', int(math.max(f.evaluated or 0, arg['evaluated' .. i])), 'prompt', arg['prompt' .. i])
    publish(job, 'token', arg['piece' .. i], arg['piece' .. i], 'i', arg['ids' .. i])
    outcomes[i] = 'OK'
  end
end
return outcomes
