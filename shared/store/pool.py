"""Connection pools that are bounded, and connections whose end nobody has to wait for."""

import asyncio
from typing import Any

from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError


class _CutConnection(AbstractConnection):
    """A connection that is cut instead of closed.

    Closing waits for the other side's farewell under TLS, and for what was not sent yet: a server
    that hangs gives neither. Whoever disconnects wants no further answer.
    """

    async def disconnect(self, nowait: bool = False) -> None:  # noqa: ARG002 - never waits
        writer = self._writer
        # Without waiting for the end, which cannot fail.
        await super().disconnect(nowait=True)
        if writer is not None:
            writer.transport.abort()


def cut(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """This kind of connection (TCP, TLS, a socket, by a Sentinel), cut when it is disconnected."""
    if kind not in _cut_kinds:
        _cut_kinds[kind] = type(f"Cut{kind.__name__}", (_CutConnection, kind), {})
    return _cut_kinds[kind]


_cut_kinds: dict[type[AbstractConnection], type[AbstractConnection]] = {}


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
