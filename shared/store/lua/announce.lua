-- A worker's report, and when it was last heard of, by the server's clock. Without `model` the report is the one that is
-- stored: a worker without turns has nothing new to tell. The answer spares it some questions.
-- Answers {OK or DRAINING (it is to take no more turns, drain.lua), the queue's keeper, how many workers there are,
-- now, how often the clock was stepped} · {UNKNOWN} (nothing is stored: it is to report everything)
local stored = redis.call('HMGET', key.worker(arg.worker), 'pool', 'draining')
local draining = arg.draining or stored[2]
if arg.model then
  keep_report(arg.pool, draining, false)
  note_models_beside(arg.pool, false)
elseif stored[1] == arg.pool then
  keep_alive(arg.pool, draining)
else
  return {'UNKNOWN'}
end
return {draining and 'DRAINING' or 'OK', redis.call('GET', key.keeper) or '', redis.call('ZCARD', key.workers),
  int(now_ms()), redis.call('GET', key.steps) or '0'}
