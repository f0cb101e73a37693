"""Links to conversations: made and taken back by their owners, read by whoever has them."""

from typing import Any, Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.store.expiry import expiries
from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.messages import decode_messages
from shared.wire.share import (
    SharedConversation,
    ShareObject,
    share_object,
    shared_conversation,
)

_MOST_MESSAGES: Final = 2000
"""Of a conversation that are copied: the newest."""


class Shares:
    """Copies of conversations as they were when they were shared."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._call = Scripts(redis, keys, "share", "unshare").call
        self._ttl_ms = expiries(settings)["conversation_ttl_ms"]

    async def share(
        self, conversation_id: str, owner_id: str, *, share_id: str, title: str
    ) -> ShareObject | None:
        """Copy a conversation as it is now; None if it is not this owner's.

        Args:
            share_id: of the link, unless the conversation has one.
        """
        answer = await self._call(
            "share",
            conversation=conversation_id,
            owner=owner_id,
            share=share_id,
            title=title,
            most=_MOST_MESSAGES,
            conversation_ttl_ms=self._ttl_ms,
        )
        return None if answer is None else share_object(answer[0], int(answer[1]))

    async def of(self, conversation_id: str, owner_id: str) -> ShareObject | None:
        """The link to a conversation; None if there is none, or it is not this owner's."""
        owner, share_id = await self._redis.hmget(
            self._keys.conversation(conversation_id), ["owner", "share"]
        )
        if owner != owner_id or share_id is None:
            return None
        shared_ms = await self._redis.hget(self._keys.share(share_id), "shared")
        return None if shared_ms is None else share_object(share_id, int(shared_ms))

    async def unshare(self, conversation_id: str, owner_id: str) -> bool:
        """Take the link back, if there is one; False if the conversation is not this owner's."""
        answer = await self._call("unshare", conversation=conversation_id, owner=owner_id)
        return bool(answer)

    async def read(self, share_id: str) -> SharedConversation | None:
        """What whoever has the link sees; None if there is no such link."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hmget(self._keys.share(share_id), ["title", "shared"])
            pipe.lrange(self._keys.shared_messages(share_id), 0, -1)
            (title, shared_ms), messages = await pipe.execute()
        if shared_ms is None:
            return None
        return shared_conversation(title, int(shared_ms), decode_messages(messages, 1))
