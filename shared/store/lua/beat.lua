-- A worker is alive and its turn makes progress. While memory is short a lease can still be made longer, but
-- not made anew. Answers OK · FENCED (somebody else's now, or ended)
if redis.call('HGET', key.job(arg.job), 'token') ~= arg.token then return 'FENCED' end
redis.call('XCLAIM', key.permits, group, arg.worker, 0, arg.permit, 'JUSTID')
if redis.call('PEXPIRE', key.lease(arg.job), arg.lease_ms) == 0 then
  redis.call('SET', key.lease(arg.job), arg.worker, 'PX', arg.lease_ms)
end
return 'OK'
