-- What all scripts share. Python (shared/store/scripts.py) puts the constants `ns`, `default_owner`, `ended` and `parts`
-- before it and the other files of this folder behind it, takes away what a script does not use, and spells out the
-- names of keys, `key.…`.
--
-- Every script is called with the namespace in ARGV[1], followed by named arguments. It starts with everything that can
-- refuse. Then come writes that Redis may deny when memory is short, the first of them before anything else has
-- changed; acknowledgements come last. Ids stay strings, as Lua's numbers would garble large ones. JSON is built in
-- Python and opaque here.

-- What remains of a request whose text was deleted.
local no_request = '{"prompt":""}'

local arg = {}
for i = 2, #ARGV, 2 do arg[ARGV[i]] = ARGV[i + 1] end

-- Milliseconds since the epoch, the same throughout a script.
local moment
local function now_ms()
  if not moment then
    local t = redis.call('TIME')
    moment = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return moment
end

-- Whether the server's clock was stepped: it is not where the caller, by a clock that nobody can set, expects it.
-- Stored times mean nothing until they have been shifted (shift.lua).
local function clock_is_off()
  return arg.earliest and (now_ms() < tonumber(arg.earliest) or now_ms() > tonumber(arg.latest))
end

local function int(n) return string.format('%.0f', n) end

-- Days since the epoch, UTC.
local DAY_MS = 86400000
local function day() return math.floor(now_ms() / DAY_MS) end

-- A job's fields by name; all false if there is no such job.
local function job_fields(job, ...)
  local values, fields = redis.call('HMGET', key.job(job), ...), {}
  for i, name in ipairs({...}) do fields[name] = values[i] end
  return fields
end

-- Raise the data's format before something is stored that older versions cannot read (`arg.format`). Until then they
-- can be started on the same data.
local function raise_format()
  if arg.format and tonumber(redis.call('GET', key.schema) or 0) < tonumber(arg.format) then
    redis.call('SET', key.schema, arg.format)
  end
end

-- Versions before data format 2 would go on with the text of a reply alone, and lose its thoughts and calls. They read
-- only requests that begin with the prompt, and fail others by name: so that is how a reply in parts begins to be one,
-- until it ends (`finish`).
local plain_request, hidden_request = '{"prompt":', '{"input":'
local function hide_request(job)
  local f = job_fields(job, 'request', 'hidden')
  if f.hidden or string.sub(f.request, 1, #plain_request) ~= plain_request then return end
  redis.call('HSET', key.job(job), 'hidden', '1',
    'request', hidden_request .. string.sub(f.request, #plain_request + 1))
end

-- An event as those who follow its job get it.
local function event_message(job, id, kind, data) return job .. ' ' .. id .. ' ' .. kind .. ' ' .. data end

-- Append an event to the job's log and publish it on the job's own channel. `extra` is a field of the log alone: a
-- piece's token ids (`i`), or the model of a start (`m`). `entry` is the id that it had before it was lost. Returns how
-- many API processes heard it, and its id.
local function publish(job, kind, data, extra, value, entry)
  local id
  if extra then
    if entry then id = redis.pcall('XADD', key.events(job), entry, 'e', kind, 'd', data, extra, value) end
    if entry and type(id) ~= 'string' and #redis.call('XRANGE', key.events(job), entry, entry) > 0 then return 0, entry end
    -- There is something newer.
    if type(id) ~= 'string' then
      id = redis.call('XADD', key.events(job), '*', 'e', kind, 'd', data, extra, value)
    end
  else
    id = redis.call('XADD', key.events(job), '*', 'e', kind, 'd', data)
  end
  return redis.call(publish_command, key.doorbell(job), event_message(job, id, kind, data)), id
end

-- Publish the pieces in the arguments whose names have this suffix, each with its token ids. Returns how many API
-- processes heard the last one. The ids of their entries are appended to `ids`.
local function publish_pieces(job, suffix, ids)
  local heard = 0
  for i = 1, tonumber(arg['pieces' .. suffix]) do
    local which = suffix .. '.' .. i
    local piece, kind = arg['piece' .. which], arg['event' .. which]
    if kind ~= 'token' then hide_request(job) end
    heard, ids[i] = publish(job, kind, piece, 'i', arg['ids' .. which], arg['entry' .. which])
  end
  return heard
end
