"""Bounded connection pools, and connections that are cut instead of closed."""

import asyncio
from collections.abc import Iterable
from typing import Any

import hiredis
from redis.asyncio.connection import AbstractConnection, ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import ConnectionError, DataError


def worker_connections(slots: int) -> int:
    """The most connections that a worker with so many slots opens.

    One is the read of its bells, which blocks; the others are its pool.
    """
    return 1 + worker_pool(slots)


def worker_pool(slots: int) -> int:
    """How many connections the pool of a worker with so many slots has.

    One is kept for its notices. Four are for its parts (heartbeat, keeper, publisher, turns), and
    one for each four slots for the ends of turns: each call takes about a millisecond, and waits
    for its turn if all are taken.
    """
    return 1 + 4 + slots // 4


class _CutConnection(AbstractConnection):
    """A connection that is cut instead of closed.

    Closing waits for the other side under TLS, and for data that was not sent yet; a server that
    hangs lets it wait for ever. After a disconnect no answer is wanted anyway.

    Commands are packed by hiredis, which redis-py only does for connections that block: a turn's
    commands have some hundred arguments.
    """

    def pack_command(self, *args: Any) -> list[bytes]:
        name, *others = args
        # Such as CONFIG GET.
        words = (name.encode() if isinstance(name, str) else name).split()
        try:
            return [hiredis.pack_command((*words, *others))]
        except TypeError as error:
            raise DataError(str(error)) from None

    async def send_packed_command(
        self, command: bytes | str | Iterable[bytes], check_health: bool = True
    ) -> None:
        try:
            await super().send_packed_command(command, check_health)
        except RuntimeError as error:
            # uvloop's, where the loop has closed the transport and nobody has read that yet.
            raise ConnectionError(str(error)) from error

    async def can_read_destructive(self) -> bool:
        """Whether there is data that no call waits for; asked before each command.

        redis-py tries to read, which costs a turn of the event loop and an exception. The loop
        reads all the time, so what has arrived shows without that.

        Raises:
            redis.exceptions.ConnectionError: the other side has closed it.
        """
        stream, parser = self._reader, self._parser
        if stream is None or stream.at_eof() or stream.exception() is not None:
            raise ConnectionError("the server has closed the connection")
        return bool(stream._buffer) or parser._reader.has_data()  # type: ignore[attr-defined]

    async def disconnect(self, nowait: bool = False) -> None:  # noqa: ARG002 - never waits
        writer = self._writer
        # Without waiting for the end, which cannot fail.
        await super().disconnect(nowait=True)
        if writer is not None:
            writer.transport.abort()


def cut(kind: type[AbstractConnection]) -> type[AbstractConnection]:
    """The same kind of connection (TCP, TLS, socket, Sentinel), which is cut when disconnected."""
    if kind not in _cut_kinds:
        _cut_kinds[kind] = type(f"Cut{kind.__name__}", (_CutConnection, kind), {})
    return _cut_kinds[kind]


_cut_kinds: dict[type[AbstractConnection], type[AbstractConnection]] = {}


class BoundedPool(ConnectionPool):
    """A bounded number of connections, handed out first come, first served.

    redis-py's own `BlockingConnectionPool` lets newcomers overtake those that wait, and costs more
    (docs/decisions/0006).

    Args:
        max_connections: most connections at once; a pub/sub keeps one.
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
        await self._acquire()
        connection: AbstractConnection = self.get_available_connection()  # type: ignore[no-untyped-call]
        try:
            await self.ensure_connection(connection)
        except BaseException:
            await self.release(connection)
            raise
        return connection

    async def _acquire(self) -> None:
        if not self._free.locked():
            await self._free.acquire()  # at once
            return
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise ConnectionError("every connection is busy") from None

    async def release(self, connection: AbstractConnection) -> None:
        """Take a connection back; the first caller in line gets it."""
        await super().release(connection)
        self._free.release()


class BoundedSentinelPool(SentinelConnectionPool, BoundedPool):
    """A bounded pool of connections to the primary that Sentinels name."""
