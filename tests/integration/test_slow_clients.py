"""Clients that begin a request and do not go on are dropped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.http.connections import BoundedProtocol
from shared.config import Settings
from tests.servers import running_api


class Hasty(BoundedProtocol):
    """Waits for headers for a moment only."""

    head_timeout_s = 0.2


@asynccontextmanager
async def connected(
    settings: Settings, http: type[BoundedProtocol] = Hasty
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    async with running_api(settings, http) as client:
        port = client.base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()


async def test_half_a_request_is_not_waited_for(settings: Settings) -> None:
    async with connected(settings) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"headers_timeout"' in answer


async def test_a_connection_without_a_request_is_closed(settings: Settings) -> None:
    async with connected(settings) as (reader, _):
        assert await asyncio.wait_for(reader.read(), 10) == b""


async def test_half_a_second_request_is_not_waited_for_either(settings: Settings) -> None:
    async with connected(settings) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        first = await reader.readuntil(b"}")
        writer.write(b"\r\nGET /healthz HTTP/1.1\r\n")
        rest = await asyncio.wait_for(reader.read(), 10)
    assert first.startswith(b"HTTP/1.1 200 ")
    assert rest.startswith(b"HTTP/1.1 408 ")


async def test_headers_without_end_are_refused(settings: Settings) -> None:
    async with connected(settings, BoundedProtocol) as (reader, writer):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        # Not much more than it takes: what is not read when a connection is closed resets it.
        for number in range(33):
            writer.write(b"X-%d: %s\r\n" % (number, b"x" * 2000))
        answer = await asyncio.wait_for(reader.read(), 10)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_long_body_may_take_longer_than_the_headers(settings: Settings) -> None:
    async with connected(settings) as (reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.5)
        writer.write(b"}")
        answer = await reader.readuntil(b"\r\n")
    assert answer.startswith(b"HTTP/1.1 422 ")
