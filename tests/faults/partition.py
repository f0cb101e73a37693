"""A proxy in front of Redis that can cut its clients off, or keep them waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

_CHUNK = 65536


Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Partition:
    """Passes everything on, as long as it is whole.

    Args:
        connect: opens a connection to the server.
    """

    def __init__(self, connect: Callable[[], Awaitable[Streams]]) -> None:
        self.url = ""
        """Where clients connect to."""
        self._connect = connect
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_tls(self) -> bool:
        return self.url.startswith("rediss")

    def cut(self) -> None:
        """Close every connection, and refuse new ones."""
        self._is_cut = True
        for writer in self._writers:
            writer.transport.abort()

    def stall(self) -> None:
        """Pass nothing on; connections stay."""
        self._flowing.clear()

    def heal(self) -> None:
        """Be whole again."""
        self._is_cut = False
        self._flowing.set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected."""
        self._writers.add(writer)
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop everybody; returns when all have noticed, those who came meanwhile, too."""
        self._flowing.set()
        while self._tasks:
            self.cut()
            await asyncio.gather(*self._tasks)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            if self._is_cut:
                return
            answers, requests = await self._connect()
            writers.append(requests)
            self._writers.add(requests)
            if not self._is_cut:
                await self._pass_both_ways((reader, requests), (answers, writer))
        except OSError:
            return
        finally:
            for one in writers:
                self._writers.discard(one)
                one.transport.abort()

    async def _pass_both_ways(self, *ways: Streams) -> None:
        """Until one side has ended."""
        tasks = [asyncio.ensure_future(self._pass(*way)) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def running_partition(path: Path, upstream: Path) -> AsyncIterator[Partition]:
    """A proxy on a socket of its own."""
    partition = Partition(lambda: asyncio.open_unix_connection(upstream))
    partition.url = f"unix://{path}"
    async with await asyncio.start_unix_server(partition.accept, path) as server:
        try:
            yield partition
        finally:
            server.close()
            await partition.close()
