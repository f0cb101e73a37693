"""Beginning a conversation without a turn, the same for every dialect of the API."""

from functools import partial

from api.live.asking import retried
from shared.id_source import IdSource
from shared.store.conversations import Begun, Conversations
from shared.wire.beginning import Beginning
from shared.wire.limits import Caller


async def begun_with(
    conversations: Conversations, id_source: IdSource, caller: Caller, beginning: Beginning
) -> Begun:
    """Begin a conversation under a new id; a lost answer is asked for again.

    Raises:
        Refused: nothing was stored.
    """
    while True:
        conversation_id = id_source.new_conversation(caller.owner_id)
        begin = partial(conversations.begin, conversation_id, caller, beginning)
        if (begun := await retried(begin)) is not None:
            return begun
