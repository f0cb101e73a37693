-- A worker is alive and its turn makes progress. Answers OK · FENCED (somebody else's now, or ended)
if redis.call('HGET', key.job(arg.job), 'token') ~= arg.token then return 'FENCED' end
redis.call('SET', key.lease(arg.job), arg.worker, 'PX', arg.lease_ms)
redis.call('XCLAIM', key.permits, group, arg.worker, 0, arg.permit, 'JUSTID')
return 'OK'
