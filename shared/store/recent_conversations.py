"""The conversations that an owner used last, as a worker finds them."""

from dataclasses import dataclass

from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.store.scripts import Scripts

_FIELDS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentConversation:
    """One of an owner's conversations; equal to another look at it if nothing was said meanwhile.

    Args:
        used: when it was used last: changes whenever other messages stand in it.
        first: number of its oldest message.
        stop: number behind its newest one.
    """

    conversation_id: str
    used: str
    first: int
    stop: int


class RecentConversations:
    """Finds an owner's conversations, of those in the list alone.

    Args:
        redis: decodes responses to `str`.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._call = Scripts(redis, keys, "recent").call

    async def of(self, owner_id: str, most: int) -> list[RecentConversation]:
        """So many at most, the one used last in front."""
        answer = await self._call("recent", owner=owner_id, most=most)
        return [
            RecentConversation(
                conversation_id=answer[at],
                used=answer[at + 1],
                first=int(answer[at + 2]),
                stop=int(answer[at + 3]),
            )
            for at in range(0, len(answer), _FIELDS)
        ]
