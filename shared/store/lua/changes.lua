-- What has changed in an owner's list after the log id `after`: {id, kind, data} each. Where that is not known any more:
-- one `reset` alone, under the id of the last change. Without `after`: the id behind which changes are new.
local log = key.changes(arg.owner)
-- An id of this millisecond may come yet.
local last = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
local position = int(now_ms() - 1) .. '-0'
if last and tonumber(string.match(last[1], '^%d+')) >= now_ms() - 1 then position = last[1] end
if not arg.after then return position end

local since = tonumber(string.match(arg.after, '^%d+'))
local is_kept = since >= now_ms() - CHANGES_MS and since <= now_ms() + 1000
-- Of many changes the oldest are dropped early: then one as old as `after` has to be there still.
local is_cut = redis.call('XLEN', log) >= CHANGES and #redis.call('XRANGE', log, '-', arg.after, 'COUNT', 1) == 0
if not is_kept or is_cut then return {{position, 'reset', '{}'}} end
local changes = {}
for _, entry in ipairs(redis.call('XRANGE', log, '(' .. arg.after, '+')) do
  changes[#changes + 1] = {entry[1], entry[2][2], entry[2][4]}
end
return changes
