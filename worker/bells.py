"""A worker's bells: the stream on which it is woken when a turn waits that it may start."""

import contextlib
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.config import Settings
from shared.store.connection import REDIS_UNAVAILABLE, connect
from shared.store.keys import Keys

_BLOCK_MS: Final = 60_000
"""A read returns at least this often. The system finds out sooner that the server's machine is gone
(`connect`), and a thousand workers without turns should not keep the server awake."""
_ANSWER_TIMEOUT_S: Final = _BLOCK_MS / 1000 + 5


class BellReader:
    """Reads the bells of one worker. They carry no right: taking turns shows whether there are any.

    Args:
        settings: of the server; the reads, which block, have a connection of their own.
        redis: for everything else.
        worker_id: unique to this process.
    """

    def __init__(self, settings: Settings, redis: Redis, keys: Keys, worker_id: str) -> None:
        self._redis = redis
        self._own = connect(settings, max_connections=1, socket_timeout=_ANSWER_TIMEOUT_S)
        self._reader = self._own.client()
        self._stream = keys.bells(worker_id)
        self._last = "0"
        self._connection_id: int | None = None

    async def next(self) -> bool:
        """Wait for a bell; False after a while without one.

        None is lost with a connection: the next read begins behind the last one that arrived.
        """
        if self._connection_id is None:
            self._connection_id = await self._reader.client_id()
        streams = await self._reader.xread({self._stream: self._last}, block=_BLOCK_MS)
        if not streams:
            return False
        self._last = streams[0][1][-1][0]
        return True

    def reset(self) -> None:
        """The connection was lost; with the server's data the stream may begin again."""
        self._connection_id = None
        self._last = "0"

    async def unblock(self) -> None:
        """Wake a blocked read."""
        if self._connection_id is not None:
            with contextlib.suppress(*REDIS_UNAVAILABLE, ResponseError):
                await self._redis.client_unblock(self._connection_id)

    async def close(self) -> None:
        """Close the connection of the reads."""
        await self._reader.aclose()
        await self._own.aclose(close_connection_pool=True)
