"""A small HTTP client for event streams: it shares the machine's cores with what it measures."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import orjson

from shared.wire.sse import EventDecoder, ServerSentEvent


class RequestFailed(Exception):
    """The server did not answer with an event stream."""


async def post_events(
    port: int, path: str, body: dict[str, Any]
) -> AsyncGenerator[ServerSentEvent, None]:
    """POST to a server on this machine; yields each event as soon as it is complete.

    Raises:
        RequestFailed: the answer is not 200, or breaks off.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(_request(port, path, orjson.dumps(body)))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 ") or b"chunked" not in head.lower():
            rest = await reader.read(1000)
            raise RequestFailed((head + rest).decode("utf-8", "replace"))
        decoder = EventDecoder()
        async for chunk in _chunks(reader):
            for event in decoder.feed(chunk):
                yield event
    except asyncio.IncompleteReadError:
        raise RequestFailed("the server broke the answer off") from None
    finally:
        writer.close()


def _request(port: int, path: str, body: bytes) -> bytes:
    head = (
        f"POST {path} HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Accept: text/event-stream",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + body


async def _chunks(reader: asyncio.StreamReader) -> AsyncGenerator[bytes, None]:
    """The parts of a body in chunked transfer coding."""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        yield (await reader.readexactly(size + 2))[:size]
