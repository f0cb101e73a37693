-- The places of turns in the queue: for each of `jobs` (separated by spaces) {position, milliseconds until it starts},
-- or false if it does not wait.
local places = {}
for job in string.gmatch(arg.jobs, '%S+') do
  local f = job_fields(job, 'pool', 'owner')
  local position, eta_ms
  if f.pool then position, eta_ms = place(job, f.pool, f.owner) end
  places[#places + 1] = position and {position, eta_ms} or false
end
return places
