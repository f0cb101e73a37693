-- A waiting turn's place in the queue: {position, milliseconds until it starts}.
local owner = redis.call('HGET', key.job(arg.job), 'owner')
if not owner then return {1, 0} end
local position, eta_ms = place(arg.job, owner)
return {position, eta_ms}
