-- Conversations (ids joined by spaces) as their owner sees them (lib/lists.lua), without those that are gone.
local rows = {}
for conversation in string.gmatch(arg.conversations, '%S+') do
  local row = shown(conversation, arg.owner)
  if row then rows[#rows + 1] = row end
end
return rows
