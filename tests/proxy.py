"""A proxy in front of Redis that loses answers: what was asked is done, and nobody hears of it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

_CHUNK = 65536
_NOT_DONE = b"-NOSCRIPT"


class LossyProxy:
    """Passes everything on, but cuts the connection in place of the answers to some requests.

    Args:
        upstream: the server's socket.
        mark: a request with these bytes in it is not answered once the server has carried it out.
        times: how many such answers are lost; all later ones pass.
    """

    def __init__(self, upstream: Path, mark: bytes, times: int) -> None:
        self._upstream = upstream
        self._mark = mark
        self._left = times
        self._connections: set[asyncio.Task[None]] = set()
        self.lost = 0

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)

    async def close(self) -> None:
        """Return when every connection has ended."""
        await asyncio.gather(*self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_unix_connection(self._upstream)
        is_marked = False

        async def pass_requests() -> None:
            nonlocal is_marked
            while data := await reader.read(_CHUNK):
                is_marked = is_marked or self._mark in data
                requests.write(data)
            requests.close()

        async def pass_answers() -> None:
            nonlocal is_marked
            while data := await answers.read(_CHUNK):
                if is_marked and not data.startswith(_NOT_DONE) and self._left > 0:
                    self._left -= 1
                    self.lost += 1
                    break
                is_marked = False
                writer.write(data)
            writer.close()

        with contextlib.suppress(ConnectionError):
            await asyncio.gather(pass_requests(), pass_answers())
        requests.close()
        writer.close()


@contextlib.asynccontextmanager
async def running_proxy(
    folder: Path, upstream: Path, *, mark: bytes, times: int
) -> AsyncIterator[tuple[str, LossyProxy]]:
    """A proxy in a folder; yields the address to use in place of the server's."""
    proxy, path = LossyProxy(upstream, mark, times), folder / "proxy"
    async with await asyncio.start_unix_server(proxy.accept, path):
        yield f"unix://{path}", proxy
        await proxy.close()


class ForgetfulServer:
    """Passes everything on to a server that is told to forget its scripts before each request."""

    def __init__(self, upstream: Path) -> None:
        self._upstream = upstream
        self._connections: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A client has connected."""
        self._connections.add(asyncio.create_task(self._serve(reader, writer)))

    async def close(self) -> None:
        """Return when every connection has ended."""
        await asyncio.gather(*self._connections)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answers, requests = await asyncio.open_unix_connection(self._upstream)

        async def pass_requests() -> None:
            while data := await reader.read(_CHUNK):
                forgot, forget = await asyncio.open_unix_connection(self._upstream)
                forget.write(b"SCRIPT FLUSH\r\n")
                await forgot.readline()
                forget.close()
                requests.write(data)
            requests.close()

        async def pass_answers() -> None:
            while data := await answers.read(_CHUNK):
                writer.write(data)
            writer.close()

        with contextlib.suppress(ConnectionError):
            await asyncio.gather(pass_requests(), pass_answers())


@contextlib.asynccontextmanager
async def running_forgetful_server(folder: Path, upstream: Path) -> AsyncIterator[str]:
    """Yields its address."""
    server, path = ForgetfulServer(upstream), folder / "forgetful"
    async with await asyncio.start_unix_server(server.accept, path):
        yield f"unix://{path}"
        await server.close()
