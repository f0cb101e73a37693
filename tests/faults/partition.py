"""A proxy in front of Redis that can cut its clients off, or keep them waiting."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

_CHUNK = 65536


class Partition:
    """Passes everything on, as long as it is whole.

    Args:
        path: the socket that clients connect to.
        upstream: the server's socket.
    """

    def __init__(self, path: Path, upstream: Path) -> None:
        self.path = path
        self._upstream = upstream
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._is_cut = False
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

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
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Drop everybody."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        try:
            answers, requests = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            writer.transport.abort()
            return
        self._writers |= {writer, requests}
        passing = (self._pass(reader, requests), self._pass(answers, writer))
        tasks = [asyncio.ensure_future(one) for one in passing]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._writers -= {writer, requests}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            writer.transport.abort()
            requests.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()


@asynccontextmanager
async def running_partition(path: Path, upstream: Path) -> AsyncIterator[Partition]:
    """A proxy on a socket of its own."""
    partition = Partition(path, upstream)
    async with await asyncio.start_unix_server(partition.accept, path):
        try:
            yield partition
        finally:
            await partition.close()
