-- A worker's cache has dropped the tokens of these `conversations`, and those of the `prefixes` that stateless turns
-- begin with: no turn of theirs waits for it any more.
for conversation in string.gmatch(arg.conversations, '%S+') do forget_home(conversation, arg.worker) end
for digest in string.gmatch(arg.prefixes, '%S+') do forget_prefix(arg.pool, digest, arg.worker) end
