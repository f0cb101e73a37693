-- A sign of life for a turn. While memory is short, a lease can still be extended, but not created.
-- Answers OK · FENCED (another worker has the turn, or it has ended)
if redis.call('HGET', key.job(arg.job), 'token') ~= arg.fence then return 'FENCED' end
redis.call('XCLAIM', key.permits, group, arg.worker, 0, arg.permit, 'JUSTID')
if redis.call('PEXPIRE', key.lease(arg.job), arg.lease_ms) == 0 then
  redis.call('SET', key.lease(arg.job), arg.worker, 'PX', arg.lease_ms)
end
return 'OK'
