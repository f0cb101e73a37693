-- An owner's list of conversations, the one that was used last in front, and the log of what changes in it.

-- For how long changes are kept for those who lost their connection, and how many at least of many.
local CHANGES_MS, CHANGES = 300000, 1000

-- Log and publish that a conversation was `created`, `changed` or `deleted`; `updated` is when it was used last.
local function tell_list(owner, kind, conversation, updated)
  local data = '{"id":' .. conversation .. ',"updated":' .. updated .. '}'
  local id = redis.call('XADD', key.changes(owner), 'MAXLEN', '~', CHANGES, '*', 'e', kind, 'd', data)
  redis.call('PEXPIRE', key.changes(owner), CHANGES_MS)
  redis.call(publish_command, key.list_doorbell(owner), conversation .. ' ' .. id .. ' ' .. kind .. ' ' .. data)
end

-- A conversation is new.
local function enlist(conversation, owner)
  -- Those that were used longest ago may have expired.
  local oldest, names = redis.call('ZRANGE', key.owned(owner), 0, 2), {}
  for i, id in ipairs(oldest) do names[i] = key.conversation(id) end
  if #names > 0 and redis.call('EXISTS', unpack(names)) < #names then
    for i, id in ipairs(oldest) do
      if redis.call('EXISTS', names[i]) == 0 then redis.call('ZREM', key.owned(owner), id) end
    end
  end
  redis.call('ZADD', key.owned(owner), int(now_ms()), conversation)
  tell_list(owner, 'created', conversation, int(now_ms()))
end

-- A conversation moves to the front of its list; it was `updated` now.
local function move_to_front(conversation, owner)
  redis.call('ZADD', key.owned(owner), int(now_ms()), conversation)
  tell_list(owner, 'changed', conversation, int(now_ms()))
end

-- A conversation was used.
local function use(conversation, owner)
  redis.call('HSET', key.conversation(conversation), 'updated', int(now_ms()))
  move_to_front(conversation, owner)
end

-- A conversation as its owner sees it: {id, context, created, updated, turns, tokens, window, pending, models, the model
-- that was named last, title, heading, pinned, metadata, memory}; false if this owner has no such conversation.
local function shown(conversation, owner)
  local f = redis.call('HMGET', key.conversation(conversation), 'owner', 'context', 'created', 'updated', 'turns',
    'tokens', 'window', 'models', 'model', 'title', 'heading', 'pinned', 'metadata', 'memory')
  if f[1] ~= owner then return false end
  return {conversation, f[2], f[3], f[4], f[5], f[6], f[7] or '',
    redis.call('LRANGE', key.pending(conversation), 0, -1), f[8] or '', f[9] or '', f[10], f[11], f[12], f[13] or '{}', f[14]}
end

-- How many conversations of a list are at a position, or in front of it: when one was used, and its id.
local function place_in_list(owned, used, conversation)
  local count = redis.call('ZCOUNT', owned, '(' .. used, '+inf')
  for _, twin in ipairs(redis.call('ZRANGEBYSCORE', owned, used, used)) do
    if twin >= conversation then count = count + 1 end
  end
  return count
end
