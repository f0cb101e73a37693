-- Signs of life for the turns of a worker: `n` of them, with job1, fence1, … While memory is short, a lease can still be
-- extended, but not created. Answers for each: OK · FENCED (another worker has the turn, or it has ended)
local outcomes = {}
for i = 1, tonumber(arg.n) do
  local job = arg['job' .. i]
  if redis.call('HGET', key.job(job), 'token') ~= arg['fence' .. i] then
    outcomes[i] = 'FENCED'
  else
    outcomes[i] = 'OK'
    if redis.call('PEXPIRE', key.lease(job), arg.lease_ms) == 0 then
      redis.pcall('SET', key.lease(job), arg.worker, 'PX', arg.lease_ms)
    end
  end
end
return outcomes
