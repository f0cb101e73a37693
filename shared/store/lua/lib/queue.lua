-- The queue: which turn starts next, and where. shared/placement.py has the same rules as pure functions, and says why.
--
-- A pool is all workers of one model. All its waiting turns stand in `line`, by tag. Those that may start now are in
-- their owner's `ready`, or in `hold` while only their home may start them; `own` of a worker has those whose home it is.

local SLACK, LEAD, OVERTAKE_MS, MIN_SAVING_MS, BELL_MS, WAIT_FACTOR = 4, 5, 5000, 20, 500, 4
-- Entries kept of a worker's bells: it needs one.
local MOST_BELLS = 8

-- How often turns start: `ms` between two starts while turns wait for a free slot (nil if never measured), and `since`
-- the last start. It is the mean of about twenty intervals: slots become free in bursts.
local known_pace = {}
local function pace(pool)
  if not known_pace[pool] then
    local f = redis.call('HMGET', key.pace(pool), 'time', 'starts', 'last')
    known_pace[pool] = f[1] and {ms = f[1] / f[2], since = now_ms() - f[3]} or {}
  end
  return known_pace[pool]
end

-- Measure the pace when a turn starts. The interval before it counts only if turns were ready all the time; otherwise it
-- shows how rarely prompts come.
local function keep_pace(pool)
  local f = redis.call('HMGET', key.pace(pool), 'last', 'busy', 'time', 'starts')
  if f[2] == '1' then
    redis.call('HSET', key.pace(pool), 'time', tostring(0.95 * (f[3] or 0) + now_ms() - f[1]),
      'starts', tostring(0.95 * (f[4] or 0) + 1))
  end
  redis.call('HSET', key.pace(pool), 'last', int(now_ms()), 'busy', redis.call('EXISTS', key.owners(pool)))
end

-- A turn's entry in the line. Owners with the same virtual time are served by name, so equal tags go by it.
local function in_line(job, owner) return owner .. ' ' .. job end

-- A turn's position in the line, from 1, and the milliseconds until it starts at the present pace; false if it does not
-- wait.
local function place(job, pool, owner)
  local rank = redis.call('ZRANK', key.line(pool), in_line(job, owner))
  if not rank then return false end
  local ms, since = pace(pool).ms, pace(pool).since
  if not ms then return rank + 1, 0 end
  return rank + 1, math.max(0, math.floor((rank + 1) * ms - math.min(since, ms)))
end

-- The highest virtual time of any owner that was served.
local known_clock = {}
local function clock_of(pool)
  known_clock[pool] = known_clock[pool] or tonumber(redis.call('GET', key.clock(pool)) or 0)
  return known_clock[pool]
end

-- The virtual time of an owner that begins to wait. Idling earns no credit, but what others got ahead of it is kept.
local function time_since(pool, last)
  return last and math.max(clock_of(pool) - LEAD, tonumber(last)) or clock_of(pool)
end

-- An owner's virtual time: one more for each turn that started. Also whether it has turns that any worker may start.
local function time_of(pool, owner)
  local time = redis.call('ZSCORE', key.owners(pool), owner)
  return tonumber(time or time_since(pool, redis.call('ZSCORE', key.times(pool), owner))), time
end

-- An owner's turn starts: its virtual time goes on, and the pool's clock with it.
local function serve(pool, owner)
  local time, is_ready = time_of(pool, owner)
  if time > clock_of(pool) then
    redis.call('SET', key.clock(pool), int(time))
    known_clock[pool] = time
  end
  if is_ready then
    redis.call('ZINCRBY', key.owners(pool), 1, owner)
  else
    redis.call('ZADD', key.times(pool), int(time + 1), owner)
  end
end

-- Put a turn at the end of its owner's part of the line. Its tag is the owner's virtual time when it starts, if every
-- turn is served in order.
local function join_line(job, pool, owner)
  local tag = int(time_since(pool, redis.call('ZSCORE', key.tags(pool), owner)) + 1)
  redis.call('ZADD', key.tags(pool), tag, owner)
  redis.call('ZADD', key.line(pool), tag, in_line(job, owner))
  redis.call('HINCRBY', key.waits, owner, 1)
  return tag
end

-- Let a turn wait again, where it stood before it started.
local function rejoin_line(job, f)
  redis.call('ZADD', key.line(f.pool), f.tag, in_line(job, f.owner))
  redis.call('HINCRBY', key.waits, f.owner, 1)
end

-- The turns of an owner that any worker may start.
local function ready_of(pool, owner) return key.ready(pool .. ':' .. owner) end

-- Take a turn out of what any worker may start.
local function unready(job, pool, owner)
  if redis.call('ZREM', ready_of(pool, owner), job) == 0 then return end
  if redis.call('EXISTS', ready_of(pool, owner)) == 1 then return end
  redis.call('ZADD', key.times(pool), redis.call('ZSCORE', key.owners(pool), owner) or 0, owner)
  redis.call('ZREM', key.owners(pool), owner)
end

-- Take a turn out of everything that it waits in; whether it waited.
local function leave_line(job, f)
  if not f.pool then return false end
  local waited = redis.call('ZREM', key.line(f.pool), in_line(job, f.owner)) == 1
  unready(job, f.pool, f.owner)
  if f.home then
    redis.call('ZREM', key.hold(f.pool), job)
    redis.call('ZREM', key.own(f.home), job)
    redis.call('HDEL', key.job(job), 'home')
  end
  if waited and redis.call('HINCRBY', key.waits, f.owner, -1) <= 0 then redis.call('HDEL', key.waits, f.owner) end
  return waited
end

-- The last tag of an owner is free again if its turn has ended without a start.
local function give_tag_back(f)
  local last = redis.call('ZSCORE', key.tags(f.pool), f.owner)
  if last and last == f.tag then redis.call('ZINCRBY', key.tags(f.pool), -1, f.owner) end
end

-- Wake a worker, if it waits for a turn. A bell carries no right: `take` decides.
local function ring(worker)
  redis.call('XADD', key.bells(worker), 'MAXLEN', '~', MOST_BELLS, '*', 'b', '')
end

-- Workers with a free slot are ordered by how many of their slots are taken; among equals, whoever was woken longest ago
-- comes first.
local SLOT = 1e13
local function set_busy(worker, pool, number) redis.call('ZADD', key.free(pool), int(number * SLOT + now_ms()), worker) end

-- How many slots of a worker are taken or will be when it answers its bells; nil if it has no free one.
local function busy_slots(worker, pool)
  local score = redis.call('ZSCORE', key.free(pool), worker)
  return score and math.floor(score / SLOT)
end

-- Wake a worker for one turn. The bell counts as a slot until the worker answers: one that is dead is not rung for ever,
-- and of many turns at once the home gets as many as it has slots.
local function ring_for_turn(worker, pool, busy)
  set_busy(worker, pool, busy + 1)
  ring(worker)
end

-- Wake the least busy worker.
local function ring_free(pool)
  for _ = 1, 3 do
    local first = redis.call('ZRANGE', key.free(pool), 0, 0, 'WITHSCORES')
    local worker = first[1]
    if not worker then return end
    if redis.call('EXISTS', key.worker(worker)) == 1 then
      return ring_for_turn(worker, pool, math.floor(first[2] / SLOT))
    end
    redis.call('ZREM', key.free(pool), worker)
  end
end

-- A worker that takes turns has one slot more that is free.
local function free_slot(worker, pool, slots)
  set_busy(worker, pool, math.max(0, (busy_slots(worker, pool) or slots) - 1))
end

-- How long a turn is held for its home, and how many slots are taken there if one is free; nil if any worker will do.
local function hold_of(pool, home, saving)
  if not home or saving < MIN_SAVING_MS then return nil end
  local w = redis.call('HMGET', key.worker(home), 'pool', 'draining', 'patience_ms', 'slots', 'silent')
  if w[1] ~= pool or w[2] or w[5] then return nil end
  local busy = busy_slots(home, pool)
  if busy and busy < tonumber(w[4] or 1) then return BELL_MS, busy end
  return math.min(WAIT_FACTOR * saving, tonumber(w[3] or 0)), nil
end

-- Whoever keeps the queue sleeps until the first hold ends: tell it if that is a new one.
local function wake_keeper(job, pool)
  if redis.call('ZRANGE', key.hold(pool), 0, 0)[1] ~= job then return end
  local keeper = redis.call('GET', key.keeper)
  if keeper then redis.call(publish_command, key.notices(keeper), 'held ' .. job) end
end

-- Let any worker start a turn.
local function make_ready(job, f)
  redis.call('ZADD', ready_of(f.pool, f.owner), f.tag, job)
  redis.call('ZADD', key.owners(f.pool), 'NX', int(time_of(f.pool, f.owner)), f.owner)
  ring_free(f.pool)
end

-- Let a turn, which is `readied` now, start: at its home if it is worth it, else anywhere. `f` has its pool, owner, tag
-- and conversation.
local function offer(job, f, is_cold)
  if is_cold then return make_ready(job, f) end
  local c = redis.call('HMGET', key.conversation(f.conversation), 'home', 'saves_ms')
  local hold_ms, busy = hold_of(f.pool, c[1], tonumber(c[2] or 0))
  if hold_ms then
    redis.call('HSET', key.job(job), 'home', c[1])
    redis.call('ZADD', key.own(c[1]), f.tag, job)
  end
  if not hold_ms or hold_ms == 0 then return make_ready(job, f) end
  redis.call('ZADD', key.hold(f.pool), int(now_ms() + hold_ms), job)
  if busy then ring_for_turn(c[1], f.pool, busy) end
  wake_keeper(job, f.pool)
end

-- End a turn's holding: any worker may start it now.
local function release(job, pool)
  if redis.call('ZREM', key.hold(pool), job) == 0 then return end
  local f = job_fields(job, 'owner', 'tag')
  f.pool = pool
  if f.tag then make_ready(job, f) end
end

-- The time of a hold is over. A home that had a free slot meanwhile does not answer its bells: no turn waits for it from
-- now on, until it takes some (take.lua).
local function end_hold(job, pool)
  local home = redis.call('HGET', key.job(job), 'home')
  if home and redis.call('ZREM', key.free(pool), home) == 1 and redis.call('EXISTS', key.worker(home)) == 1 then
    redis.call('HSET', key.worker(home), 'silent', '1')
  end
  release(job, pool)
end

-- The worker that has what a stateless request begins with, under the name of `session`; it is known for as long as
-- clients take for an answer.
local PREFIX_MS = 600000
local function prefix_of(pool, digest) return key.prefix(pool .. ':' .. digest) end
local function keep_prefix(pool, digest, worker, session, saving)
  if tonumber(saving) < MIN_SAVING_MS then return end
  redis.call('SET', prefix_of(pool, digest), saving .. ' ' .. session .. ' ' .. worker, 'PX', PREFIX_MS)
end

-- What its cache saves, its name there, and that worker; nothing if it is not known.
local function home_of_prefix(pool, digest)
  return string.match(redis.call('GET', prefix_of(pool, digest)) or '', '^(%d+) (%S+) (.*)$')
end

-- A stateless turn has its home by what it begins with. The first that goes on from there takes over what the cache
-- has; others get copies.
local GIVEN_AWAY = '-'
local function go_home(job, conversation, pool, digest)
  local saving, session, home = home_of_prefix(pool, digest)
  if not home then return end
  redis.call('HSET', key.conversation(conversation), 'home', home, 'saves_ms', saving)
  if session == GIVEN_AWAY then return end
  redis.call('HSET', key.job(job), 'session', session)
  redis.call('SET', prefix_of(pool, digest), saving .. ' ' .. GIVEN_AWAY .. ' ' .. home, 'KEEPTTL')
end

-- A worker has dropped it.
local function forget_prefix(pool, digest, worker)
  local _, _, home = home_of_prefix(pool, digest)
  if home == worker then redis.call('DEL', prefix_of(pool, digest)) end
end

-- A conversation is no warmer at a worker than anywhere: nothing waits for that any more.
local function forget_home(conversation, worker)
  if redis.call('HGET', key.conversation(conversation), 'home') ~= worker then return end
  redis.call('HDEL', key.conversation(conversation), 'home', 'saves_ms')
  local head = redis.call('LINDEX', key.pending(conversation), 0)
  local f = head and job_fields(head, 'home', 'pool')
  if f and f.home == worker and f.pool then release(head, f.pool) end
end

-- A worker takes no more turns: those that wait for it alone may start anywhere; if they are many, the rest when their
-- holds end.
local function set_free(worker, pool)
  redis.call('ZREM', key.free(pool), worker)
  for _, job in ipairs(redis.call('ZRANGE', key.own(worker), 0, 99)) do release(job, pool) end
end

-- The other workers of a pool that live, of those that were heard of last.
local MOST_PEERS = 10
local function living_peers(worker, pool)
  local peers = {}
  for _, other in ipairs(redis.call('ZREVRANGE', key.peers(pool), 0, MOST_PEERS)) do
    if other ~= worker and redis.call('EXISTS', key.worker(other)) == 1 then peers[#peers + 1] = other end
  end
  return peers
end

-- A worker is gone.
local function forget_worker(worker, pools)
  for _, pool in ipairs(pools) do
    set_free(worker, pool)
    redis.call('ZREM', key.peers(pool), worker)
  end
  redis.call('DEL', key.own(worker), key.bells(worker), key.taken(worker))
end

-- A turn that may start: its `job`, what `take` needs of that, and when it became ready; nil if there is none.
local function candidate(job, owner)
  if not job then return nil end
  local f = job_fields(job, 'status', 'conversation', 'owner', 'deadline', 'pool', 'tag', 'home', 'crashes', 'readied',
    'starts', 'started')
  f.job, f.owner, f.readied = job, owner or f.owner or '', tonumber(f.readied or 0)
  return f
end

-- Of the turns that any worker may start, the first one of the owner with the lowest virtual time.
local function next_ready(pool)
  local owner = redis.call('ZRANGE', key.owners(pool), 0, 0)[1]
  return owner and candidate(redis.call('ZRANGE', ready_of(pool, owner), 0, 0)[1], owner)
end

-- The turn that a worker with a free slot is to start (`candidate`); nil if there is none.
local function choose(worker, pool)
  local own = candidate(redis.call('ZRANGE', key.own(worker), 0, 0)[1])
  local ready = next_ready(pool)
  if not own or not ready then return own or ready end
  if own.readied - ready.readied > OVERTAKE_MS then return ready end
  return time_of(pool, own.owner) - time_of(pool, ready.owner) <= SLACK and own or ready
end
