"""A conversation's messages before its window, as a worker reads them."""

from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.store.scripts import Scripts

_BLOCK: Final = 500
"""Messages of one answer, so that long conversations keep nobody waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """Consecutive messages of a conversation.

    Args:
        first: number of the oldest message that is kept.
        number: of the first of `texts`.
        texts: the messages as they are stored.
    """

    first: int
    number: int
    texts: tuple[str, ...]


class EarlierMessages:
    """Reads messages of any conversation: for workers, which have asked for no owner before.

    Args:
        redis: decodes responses to `str`.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._call = Scripts(redis, keys, "earlier").call

    async def read(self, conversation_id: str, start: int, before: int) -> Earlier:
        """The messages numbered from `start` to below `before`; none if there are none."""
        first, number = before, max(1, start)
        texts: list[str] = []
        while number + len(texts) < before:
            wanted = number + len(texts)
            answer = await self._call(
                "earlier", conversation=conversation_id, start=wanted, before=before, most=_BLOCK
            )
            if not answer or not answer[2]:
                break
            first, at, block = int(answer[0]), int(answer[1]), answer[2]
            if at > wanted:
                # What stands before is gone, maybe since the last block.
                number, texts = at, []
            texts += block
        return Earlier(first=first, number=number, texts=tuple(texts))
