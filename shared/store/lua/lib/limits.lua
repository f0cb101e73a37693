-- What an owner may use, and what it has used.

-- Add to the tokens that an owner has used today.
local function use_tokens(owner, tokens)
  if owner == default_owner or tonumber(tokens) == 0 then return end
  local usage = key.usage(owner .. ':' .. day())
  redis.call('INCRBY', usage, tokens)
  redis.call('PEXPIRE', usage, 2 * DAY_MS)
end

-- The first limit that an owner has reached: {which, how much it allows, milliseconds until some of it is free}. If
-- there is none: false, and (with a limited rate) until when this prompt uses it up. Each prompt costs its share of a minute,
-- and up to a whole minute may be owed; more is owed only if the clock was set back.
local function limit_reached(owner, pool)
  local now, wait_ms = now_ms(), pool and pace(pool).ms or 1000
  local until_ms
  if arg.rate_limit then
    until_ms = math.max(now, math.min(now + 60000, tonumber(redis.call('GET', key.rate(owner)) or now)))
    until_ms = until_ms + 60000 / arg.rate_limit
    if until_ms > now + 60000 then
      return {'requests', arg.rate_limit, int(math.ceil(until_ms - now - 60000))}
    end
  end
  if arg.in_flight_limit and redis.call('SCARD', key.open(owner)) >= tonumber(arg.in_flight_limit) then
    return {'in_flight', arg.in_flight_limit, int(wait_ms)}
  end
  if arg.queued_limit and tonumber(redis.call('HGET', key.waits, owner) or 0) >= tonumber(arg.queued_limit) then
    return {'queued', arg.queued_limit, int(wait_ms)}
  end
  if arg.tokens_limit then
    local used = tonumber(redis.call('GET', key.usage(owner .. ':' .. day())) or 0)
    if used >= tonumber(arg.tokens_limit) then
      return {'tokens', arg.tokens_limit, int((day() + 1) * DAY_MS - now)}
    end
  end
  return false, until_ms
end

-- Charge a prompt to the owner's rate, and answer {OK, conversation, now}; with a limit of prompts a minute also how
-- many are left, and the milliseconds until all of them are available again.
local function charge_minute(owner, until_ms, conversation)
  if not arg.rate_limit then return {'OK', conversation, int(now_ms())} end
  local owed = until_ms - now_ms()
  redis.call('SET', key.rate(owner), string.format('%.3f', until_ms), 'PX', int(owed + 1))
  return {'OK', conversation, int(now_ms()), int(math.floor((60000 - owed) * arg.rate_limit / 60000)), int(owed)}
end

-- Charge the owner for the tokens of a turn that ended without a reply, less what was charged before.
local function settle(job, owner, tokens)
  local f = job_fields(job, 'paid', 'pool')
  local paid = tonumber(f.paid or 0)
  if tonumber(tokens) <= paid then return end
  redis.call('HSET', key.job(job), 'paid', int(tokens))
  use_tokens(owner, int(tokens - paid))
  count_usage(owner, f.pool, {unfinished = tokens - paid})
end
