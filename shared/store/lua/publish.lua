-- Publish pieces of replies with their token ids, from which another worker can continue: `n` pieces, with job1, fence1,
-- at1, … `at` is the number of ids published before the piece; a piece that is sent again is not written again.
-- `prompt` counts the prompt's tokens, `evaluated` those that were in no cache. Answers for each {OK, how many API
-- processes follow the job live, the ids of the new entries in the log, …} · {DUP, 0} · {FENCED, 0} · {BEHIND, 0, the
-- progress} (what was published before is not there: a replica without it has taken over).
local outcomes = {}
for i = 1, tonumber(arg.n) do
  local job, at = arg['job' .. i], arg['at' .. i]
  local f = job_fields(job, 'token', 'progress', 'evaluated')
  if f.token ~= arg['fence' .. i] then
    outcomes[i] = {'FENCED', 0}
  elseif tonumber(f.progress) > tonumber(at) then
    outcomes[i] = {'DUP', 0}
  elseif tonumber(f.progress) < tonumber(at) then
    outcomes[i] = {'BEHIND', 0, int(f.progress)}
  else
    redis.call('HSET', key.job(job), 'progress', int(at + arg['count' .. i]),
      'evaluated', int(math.max(f.evaluated or 0, arg['evaluated' .. i])), 'prompt', arg['prompt' .. i])
    local ids = {}
    outcomes[i] = {'OK', publish_pieces(job, i, ids), unpack(ids)}
  end
end
return outcomes
