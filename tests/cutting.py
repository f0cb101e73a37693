"""A proxy in front of an API that breaks streams in the middle of a reply."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Final

_CHUNK: Final = 65536
_PIECE: Final = b"event: token"


class CuttingProxy:
    """Passes everything on, and cuts some connections behind the first piece of a reply.

    Args:
        times: how many connections are cut; later ones stay.
    """

    def __init__(self, port: int, times: int) -> None:
        self._port = port
        self._left = times
        self.cuts = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on, until one side ends it or it is cut."""
        answers, requests = await asyncio.open_connection("127.0.0.1", self._port)

        async def pass_requests() -> None:
            while data := await reader.read(_CHUNK):
                requests.write(data)
            requests.close()

        async def pass_answers() -> None:
            while data := await answers.read(_CHUNK):
                writer.write(data)
                if _PIECE in data and self._left > 0:
                    self._left -= 1
                    self.cuts += 1
                    await writer.drain()
                    break
            writer.close()
            requests.close()

        with contextlib.suppress(ConnectionError):
            await asyncio.gather(pass_requests(), pass_answers())


@contextlib.asynccontextmanager
async def cutting_proxy(port: int, times: int) -> AsyncIterator[tuple[str, CuttingProxy]]:
    """A proxy in front of a port; yields its address."""
    proxy = CuttingProxy(port, times)
    async with await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server:
        own = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{own}", proxy
