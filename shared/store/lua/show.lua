-- A conversation as its owner sees it (lib/lists.lua); false if there is no such conversation.
return shown(arg.conversation, arg.owner)
