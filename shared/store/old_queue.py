"""The queue of versions before data format 3, which is taken along."""

from dataclasses import dataclass

from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.store.scripts import Scripts


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenAlong:
    """What one call has taken along.

    Args:
        number: of turns.
        has_more: whether there are open turns that it has not looked at.
    """

    number: int
    has_more: bool


class OldQueue:
    """Takes turns from there to the line, some with each call.

    Args:
        redis: decodes responses to `str`.
        pool: whose line they join.
    """

    def __init__(self, redis: Redis, keys: Keys, pool: str) -> None:
        self._call = Scripts(redis, keys, "convert").call
        self._pool = pool
        self._from = 0

    async def take_along(self) -> TakenAlong:
        """Look at the next open turns, and begin anew behind the last; harmless if repeated."""
        number, next_from = await self._call("convert", pool=self._pool, **{"from": self._from})
        self._from = max(0, next_from)
        return TakenAlong(number=number, has_more=next_from > 0)
