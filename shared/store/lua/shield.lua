-- While a worker tests a suspect, the other turns that it holds are shielded: they are not evaluated, and
-- so not to blame if the worker dies. `n` of them, job1, token1, …; `on` is 1 or 0. A suspect that proved
-- harmless (`cleared`, under `cleared_token`) is an ordinary turn again. Tokens that are out of date are
-- passed over. Answers OK
for i = 1, tonumber(arg.n) do
  local job, token = arg['job' .. i], arg['token' .. i]
  if redis.call('HGET', key.job(job), 'token') == token then
    if arg.on == '1' then
      redis.call('HSET', key.job(job), 'shielded', token)
    else
      redis.call('HDEL', key.job(job), 'shielded')
    end
  end
end
if arg.cleared and redis.call('HGET', key.job(arg.cleared), 'token') == arg.cleared_token then
  redis.call('HDEL', key.job(arg.cleared), 'suspect')
end
return 'OK'
