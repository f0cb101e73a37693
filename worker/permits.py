"""Permits from the stream of ready turns: each wakes one worker and lets it claim one turn."""

import contextlib
from collections.abc import Set
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.store.connection import REDIS_UNAVAILABLE
from shared.store.keys import WORKER_GROUP, Keys

_BLOCK_MS: Final = 5000
"""A read returns at least this often, which reveals a dead connection."""
_MAX_STRANDED: Final = 1000


class PermitReader:
    """Reads permits as one consumer of the workers' group.

    Args:
        redis: gives the reads, which block, a connection of their own; decodes responses.
        worker_id: the consumer's name; unique to this process.
    """

    def __init__(self, redis: Redis, keys: Keys, worker_id: str) -> None:
        self._redis = redis
        self._reader = redis.client()
        self._stream = keys.permits
        self._worker_id = worker_id
        self._connection_id: int | None = None
        self._stranded: list[str] = []

    async def next(self, used: Set[str]) -> str | None:
        """The next permit, or None after a few seconds without one.

        A new connection first returns the permits that were delivered with an answer that got
        lost: those that are pending for this worker and not `used` by a running turn.
        """
        if self._connection_id is None:
            connection_id = await self._reader.client_id()
            self._stranded = [permit for permit in await self._pending() if permit not in used]
            self._connection_id = connection_id
        if self._stranded:
            return self._stranded.pop()
        streams = await self._reader.xreadgroup(
            WORKER_GROUP, self._worker_id, {self._stream: ">"}, count=1, block=_BLOCK_MS
        )
        return streams[0][1][0][0] if streams else None

    def reset(self) -> None:
        """The connection was lost, maybe with an answer: look for stranded permits again."""
        self._connection_id = None

    async def unblock(self) -> None:
        """Wake a blocked read. If it were cancelled instead, it could lose a permit under way."""
        if self._connection_id is not None:
            with contextlib.suppress(*REDIS_UNAVAILABLE, ResponseError):
                await self._redis.client_unblock(self._connection_id)

    async def close(self) -> None:
        """Close the connection of the reads."""
        await self._reader.aclose()

    async def _pending(self) -> list[str]:
        entries = await self._reader.xpending_range(
            self._stream, WORKER_GROUP, "-", "+", _MAX_STRANDED, consumername=self._worker_id
        )
        return [entry["message_id"] for entry in entries]
