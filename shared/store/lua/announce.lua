-- A worker's report, and when it was last heard of, by the server's clock. The answer spares it some questions.
-- Answers {OK or DRAINING (it is to take no more turns, drain.lua), the queue's keeper, how many workers there are,
-- now, how often the clock was stepped}
local draining = arg.draining or redis.call('HGET', key.worker(arg.worker), 'draining')
keep_report(arg.pool, draining, false)
note_models_beside(arg.pool, false)
return {draining and 'DRAINING' or 'OK', redis.call('GET', key.keeper) or '', redis.call('ZCARD', key.workers),
  int(now_ms()), redis.call('GET', key.steps) or '0'}
