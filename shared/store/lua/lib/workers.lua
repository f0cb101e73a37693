-- Workers' reports.

-- For how long a model is known after the last report.
local KNOWN_MS = 3600000

-- A worker was heard of: it counts as alive, and so does its model. It has a free slot if it runs fewer turns than it
-- has slots.
local function keep_alive(pool, draining)
  redis.call('PEXPIRE', key.worker(arg.worker), arg.ttl_ms)
  redis.call('ZADD', key.workers, int(now_ms()), arg.worker)
  redis.call('ZADD', key.peers(pool), int(now_ms()), arg.worker)
  redis.call('ZADD', key.pools, int(now_ms()), pool)
  if tonumber(arg.running) < tonumber(arg.slots) and not draining and
    not redis.call('ZSCORE', key.free(pool), arg.worker) then
    set_busy(arg.worker, pool, tonumber(arg.running))
  end
end

-- Store what a worker reports, and when it was last heard of. If the windows of a model differ over time, the one of the
-- worker that started last counts.
local function keep_report(pool, draining, is_new)
  redis.call('HSET', key.worker(arg.worker), 'pool', pool, 'model', arg.model, 'fingerprint', arg.fingerprint,
    'slots', arg.slots, 'running', arg.running, 'steps', arg.steps, 'stats', arg.stats, 'turns', arg.turns,
    'context_length', arg.context_length, 'window', arg.window, 'capabilities', arg.capabilities,
    'patience_ms', arg.patience_ms)
  if draining then
    -- This may be the first word of it.
    redis.call('HSET', key.worker(arg.worker), 'draining', '1')
    set_free(arg.worker, pool)
  end
  keep_alive(pool, draining)
  if redis.call('PEXPIRE', key.pool(pool), KNOWN_MS) == 0 or is_new then
    redis.call('HSETNX', key.pool(pool), 'since', int(now_ms()))
    redis.call('HSET', key.pool(pool), 'window', arg.window, 'fingerprint', arg.fingerprint,
      'capabilities', arg.capabilities)
    redis.call('PEXPIRE', key.pool(pool), KNOWN_MS)
  end
end

-- Models that are served side by side are missed when they are gone (lib/models.lua). `pool` is served.
local function note_models_beside(pool, is_new)
  if redis.call('ZCARD', key.pools) < 2 then return end
  local served = redis.call('ZRANGEBYSCORE', key.pools, int(now_ms() - arg.silence_ms), '+inf')
  if #served < 2 then return end
  for _, name in ipairs(is_new and served or {pool}) do redis.call('HSET', key.pool(name), 'beside', '1') end
end
