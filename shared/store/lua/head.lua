-- Keep the headings that were made from first prompts: conversation1, heading1, used1, … One that was used meanwhile may
-- have another first prompt, and keeps none.
for i = 1, tonumber(arg.headings) do
  local name = key.conversation(arg['conversation' .. i])
  local known = redis.call('HMGET', name, 'owner', 'updated')
  if known[1] == arg.owner and known[2] == arg['used' .. i] then
    redis.call('HSETNX', name, 'heading', arg['heading' .. i])
  end
end
