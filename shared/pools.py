"""Connection pools that are bounded: who finds no connection free waits in turn."""

import asyncio
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError


class BoundedPool(ConnectionPool):
    """At most so many connections, handed out in the order in which they were asked for.

    redis-py's own `BlockingConnectionPool` lets newcomers overtake whoever waits, and costs more
    (docs/decisions/0006).

    Args:
        max_connections: the most there are at once; a pub/sub keeps one of them.
        wait_s: how long to wait for one.
    """

    def __init__(self, *, max_connections: int, wait_s: float, **options: Any) -> None:
        super().__init__(max_connections=max_connections, **options)
        self._free = asyncio.Semaphore(max_connections)
        self._wait_s = wait_s

    async def get_connection(self, *_: Any, **__: Any) -> AbstractConnection:
        """A connected connection.

        Raises:
            redis.exceptions.ConnectionError: none became free in time, or it cannot be connected.
        """
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise ConnectionError("every connection is busy") from None
        connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back; the first who waits gets it."""
        await super().release(connection)
        self._free.release()


class BoundedSentinelPool(SentinelConnectionPool, BoundedPool):
    """The same for connections to a primary that Sentinels name."""
