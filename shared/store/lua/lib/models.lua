-- Models: which pool a turn goes to.
--
-- A model is served while one of its workers was heard of lately (`arg.silence_ms`). What is known of it (`key.pool`) is
-- kept for an hour longer. In that time a model that was served beside others is missed: prompts for it are refused. A
-- model that was alone is not, as then any name was taken, and whichever model comes next replaces it.

local function is_served(model)
  local heard = redis.call('ZSCORE', key.pools, model)
  return heard and tonumber(heard) >= now_ms() - arg.silence_ms
end

local function is_missed(model)
  return redis.call('ZSCORE', key.pools, model) and redis.call('HGET', key.pool(model), 'beside') == '1'
end

-- Whether a model has a capability; those of whom nothing is known chat.
local function can(model, capability)
  local capabilities = redis.call('HGET', key.pool(model), 'capabilities') or 'chat'
  return string.find(',' .. capabilities .. ',', ',' .. capability .. ',', 1, true) ~= nil
end

-- All models that are served, the one that was there first in front.
local function served_models()
  local models, since = redis.call('ZRANGEBYSCORE', key.pools, int(now_ms() - arg.silence_ms), '+inf'), {}
  if #models < 2 then return models end
  for _, model in ipairs(models) do since[model] = tonumber(redis.call('HGET', key.pool(model), 'since') or 0) end
  table.sort(models, function(a, b) return since[a] < since[b] or (since[a] == since[b] and a < b) end)
  return models
end

-- The model that a prompt names; else nil and what refuses it. Where there is one model, any name is taken.
local function named_model(name)
  if is_served(name) then return name end
  if is_missed(name) then return nil, {'NO_WORKER', name} end
  local served = served_models()
  if #served == 0 then return nil, {'NO_WORKER', redis.call('ZSCORE', key.pools, name) and name or nil} end
  if #served == 1 then return served[1] end
  return nil, {'NO_MODEL', name, unpack(served, 1, 20)}
end

-- The model for a prompt that names none, or nil and what refuses it: the one that an earlier prompt of its conversation
-- has `named`; else the default one; else the conversation's `last`; else the one that was there first. The last three
-- are passed over if they cannot do what the turn needs, unless none can: then a worker refuses it.
local function usual_model(named, last, needs)
  if named and is_served(named) then return named end
  if named and is_missed(named) then return nil, {'NO_WORKER', named} end
  local default = arg.default_model
  if default and can(default, needs) then
    if is_served(default) then return default end
    if is_missed(default) then return nil, {'NO_WORKER', default} end
  end
  if last and is_served(last) and can(last, needs) then return last end
  local served = served_models()
  if #served == 1 then return served[1] end
  for _, model in ipairs(served) do
    if can(model, needs) then return model end
  end
  return served[1], {'NO_WORKER'}
end
