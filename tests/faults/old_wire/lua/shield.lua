-- While a worker tests a suspect, the other turns it holds are shielded: they are not evaluated, so they are not to
-- blame if the worker dies. `n` of them, with job1, fence1, …; `on` is 1 or 0. A suspect that proved harmless
-- (`cleared`, under `cleared_fence`) is an ordinary turn again. Outdated fences are skipped. Answers OK
for i = 1, tonumber(arg.n) do
  local job, fence = arg['job' .. i], arg['fence' .. i]
  if redis.call('HGET', key.job(job), 'token') == fence then
    if arg.on == '1' then
      redis.call('HSET', key.job(job), 'shielded', fence)
    else
      redis.call('HDEL', key.job(job), 'shielded')
    end
  end
end
if arg.cleared and redis.call('HGET', key.job(arg.cleared), 'token') == arg.cleared_fence then
  redis.call('HDEL', key.job(arg.cleared), 'suspect')
end
return 'OK'
