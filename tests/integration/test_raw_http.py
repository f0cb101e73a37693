"""HTTP as no good client speaks it: refused by name, without a traceback, and never for ever."""

import asyncio
import contextlib
import logging
import select
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.http.connections import BoundedProtocol
from api.http.outgoing import OutgoingLimits
from tests.servers import make_settings, running_api

LIMIT_S = 10.0
HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
UPGRADE = POST + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"


class Hasty(BoundedProtocol):
    """Waits for a moment only."""

    head_timeout_s = 0.4
    body_timeout_s = 0.6
    outgoing = OutgoingLimits(unread_s=0.3, linger_s=0.3)


class Connection:
    """One connection to the API; collects what is answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def send(self, *parts: bytes) -> None:
        """Each part in a segment of its own, as long as somebody listens."""
        try:
            for part in parts:
                self._writer.write(part)
                await self._writer.drain()
                await asyncio.sleep(0)
        except ConnectionError:
            pass

    async def until(self, separator: bytes) -> bytes:
        return await asyncio.wait_for(self._reader.readuntil(separator), LIMIT_S)

    async def rest(self) -> bytes:
        """Everything up to the connection's end, which comes."""
        return await asyncio.wait_for(self._reader.read(), LIMIT_S)

    def leave(self) -> None:
        self._writer.close()


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[Connection]:
    connection = Connection(*await asyncio.open_connection("127.0.0.1", port))
    try:
        yield connection
    finally:
        connection.leave()


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of an API process's own server; nothing here comes as far as Redis."""
    async with running_api(make_settings("unix:///nowhere/at/all"), Hasty) as client:
        port = client.base_url.port
        assert port is not None
        yield port


def with_body(body: bytes, *headers: bytes) -> bytes:
    said = [*headers, b"Content-Length: %d" % len(body)]
    return POST + b"".join(header + b"\r\n" for header in said) + b"\r\n" + body


def with_length(length: bytes) -> bytes:
    return POST + b"Content-Length: " + length + b"\r\n\r\n{}"


@pytest.mark.parametrize(
    ("parts", "status", "words"),
    [
        ([GET[:-2] + b"X: " + b"x" * 70_000 + b"\r\n\r\n"], 431, b"headers_too_large"),
        ([GET[:-2] + b"X: ", *([b"x" * 5000] * 20)], 431, b"headers_too_large"),
        ([b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n"], 431, b"too_large"),
        ([GET[:-2] + b"a: b\r\n" * 150 + b"\r\n"], 431, b"headers_too_large"),
        ([GET[:-2], *([b"a: b\r\n"] * 150)], 431, b"headers_too_large"),
        ([CHUNKED + b"3;", *([b"e" * 20_000] * 10)], 400, b"framing_too_large"),
        ([CHUNKED + b"2\r\n{}\r\n0\r\n", *([b"t: u\r\n" * 500] * 50)], 431, b"headers_too_large"),
        ([POST + b"Content-Length: 5\r\n\r\n"], 408, b"body_timeout"),
        ([POST + b"Content-Length: 5\r\n\r\n{"], 408, b"body_timeout"),
        ([CHUNKED], 408, b"body_timeout"),
        ([CHUNKED + b"2\r\n{}\r\n"], 408, b"body_timeout"),
        ([POST + b"X: "], 408, b"headers_timeout"),
        ([b"\r\n" * 100], 408, b"headers_timeout"),
        ([b"GET /healthz HTTP/1.1\r\n" + HOST + HOST + b"\r\n"], 400, b"more than one Host"),
        ([b"GET http://evil/healthz HTTP/1.1\r\n" + HOST + b"\r\n"], 400, b"another host"),
        ([b"GET http://localhost:1/ HTTP/1.1\r\n" + HOST + b"\r\n"], 400, b"another host"),
        ([b"GET http://u@localhost/ HTTP/1.1\r\n" + HOST + b"\r\n"], 400, b"another host"),
        ([b"GET http://localhost/ HTTP/1.1\r\n\r\n"], 400, b"another host"),
        ([b"GET /\r\n"], 400, b"HTTP/1.1 and HTTP/1.0"),
        ([b"GET /\r\n\r\n"], 400, b"HTTP/1.1 and HTTP/1.0"),
        ([b"GET / HTTP/0.9\r\n\r\n"], 400, b"HTTP/1.1 and HTTP/1.0"),
        ([b"GET / HTTP/2.0\r\n" + HOST + b"\r\n"], 400, b"HTTP/1.1 and HTTP/1.0"),
        ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"], 400, b"no HTTP request"),
        ([b"\x16\x03\x01\x02\x00\x01\x00"], 400, b"no HTTP request"),
        ([b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n"], 400, b"no HTTP request"),
        ([with_length(b"2\r\nContent-Length: 2")], 400, b"no HTTP request"),
        ([with_length(b"2\r\nTransfer-Encoding: chunked")], 400, b"no HTTP request"),
        ([with_length(b"+2")], 400, b"no HTTP request"),
        ([with_length(b"-2")], 400, b"no HTTP request"),
        ([with_length(b"0x2")], 400, b"no HTTP request"),
        ([with_length(b"9" * 30)], 400, b"no HTTP request"),
        ([with_length(b"18446744073709551615")], 413, b"body_too_large"),
        ([POST + b"Transfer-Encoding: gzip\r\n\r\n{}"], 400, b"no HTTP request"),
        ([POST + b"X: a\x00b\r\n\r\n"], 400, b"no HTTP request"),
        ([POST + b"X : a\r\n\r\n"], 400, b"no HTTP request"),
        ([CHUNKED + b"-1\r\n"], 400, b"no HTTP request"),
        ([CHUNKED + b"fffffffffffffffff\r\n"], 400, b"no HTTP request"),
    ],
)
async def test_it_is_refused_by_name_and_the_connection_ends(
    port: int, parts: list[bytes], status: int, words: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with connected(port) as connection:
        await connection.send(*parts)
        answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer[:200]
    assert words in answer
    assert answer.count(b"HTTP/1.1 ") - (status == 400 and b"HTTP/1.1 and" in answer) == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("request_", "status", "words"),
    [
        (b"GET http://LOCALHOST/healthz HTTP/1.1\r\n" + HOST + b"\r\n", 200, b"ok"),
        (b"GET http://localhost HTTP/1.1\r\n" + HOST + b"\r\n", 200, b"Palaver"),
        (b"GET http://localhost/jobs/x?y HTTP/1.1\r\n" + HOST + b"\r\n", 404, b"no such job"),
        (b"GET /healthz/ HTTP/1.1\r\n" + HOST + b"\r\n", 200, b"ok"),
        (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", 404, b"not_found"),
        (CHUNKED + b"2\r\n[]\r\n0\r\nHost: evil\r\n\r\n", 400, b"not an object"),
        (CHUNKED + b"1\r\n[\r\n1\r\n]\r\n0\r\n\r\n", 400, b"not an object"),
        (UPGRADE + b"Content-Length: 2\r\n\r\n[]", 400, b"not an object"),
        (UPGRADE + CHUNKED.removeprefix(POST) + b"2\r\n[]\r\n0\r\n\r\n", 400, b"not an object"),
        (with_body(b"\xef\xbb\xbf{}"), 400, b"byte order mark"),
        (with_body("{}".encode("utf-16")), 400, b"UTF-16"),
        (with_body('{"prompt": 1}'.encode("utf-16-le")), 400, b"UTF-16"),
        (with_body(b'{"prompt": "\\ud800"}'), 400, b"surrogate"),
        (with_body(b'{"prompt": "\\udc00\\ud800"}'), 400, b"surrogate"),
        (with_body(b'{"prompt": "\xed\xa0\x80"}'), 400, b"not UTF-8"),
        (with_body(b'{"prompt": "\xff"}'), 400, b"not UTF-8"),
        (with_body(b"[" * 5000), 400, b"nested too deeply"),
        (with_body(b"{}", b"Content-Encoding: gzip"), 415, b"Content-Encoding: gzip"),
        (with_body(b"{}", b"Content-Encoding: identity, br"), 415, b"uncompressed only"),
        (with_body(b"[]", b"Content-Encoding: Identity"), 400, b"not an object"),
    ],
)
async def test_it_is_answered_and_the_connection_goes_on(
    port: int, request_: bytes, status: int, words: bytes
) -> None:
    async with connected(port) as connection:
        await connection.send(request_)
        head = await connection.until(b"\r\n\r\n")
        await connection.send(GET)
        rest = await connection.until(b'{"status":"ok"}')
        if b"HTTP/1.1 200" not in rest:
            rest += await connection.until(b'{"status":"ok"}')
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert words in rest


async def test_the_same_bytes_one_by_one(port: int) -> None:
    wanted = UPGRADE + b"Content-Length: 2\r\n\r\n[]"
    async with connected(port) as connection:
        await connection.send(*(bytes([byte]) for byte in wanted))
        assert (await connection.until(b"\r\n")).startswith(b"HTTP/1.1 400 ")
        assert b"not an object" in await connection.until(b"}")


async def test_a_stranger_is_refused_before_a_body_comes(port: int) -> None:
    async with connected(port) as connection:
        await connection.send(b"POST / HTTP/1.1\r\nHost: evil\r\nContent-Length: 9\r\n")
        await connection.send(b"Expect: 100-continue\r\n\r\n")
        answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 403 ")
    assert b"connection: close" in answer


async def test_a_body_is_asked_for_only_if_it_is_read(port: int) -> None:
    async with connected(port) as connection:
        await connection.send(POST + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await connection.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        await connection.send(b"[]")
        assert (await connection.until(b"\r\n")).startswith(b"HTTP/1.1 400 ")


async def test_a_body_that_is_too_long_is_refused_while_it_is_sent(port: int) -> None:
    async with connected(port) as connection:
        await connection.send(CHUNKED, *([b"10000\r\n" + b"x" * 65_536 + b"\r\n"] * 50))
        answer = await connection.rest()
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_to_a_client_of_http_1_0_an_answer_ends_with_the_connection(port: int) -> None:
    async with connected(port) as connection:
        await connection.send(b"GET /healthz HTTP/1.0\r\n" + HOST + b"\r\n")
        answer = await connection.rest()
    assert answer.endswith(b'\r\n\r\n{"status":"ok"}')
    assert b"transfer-encoding" not in answer.lower()


async def test_requests_that_came_together_are_answered_in_order(port: int) -> None:
    async with connected(port) as connection:
        await connection.send(GET * 10 + GET[:20])
        answers = await connection.rest()
    assert answers.count(b"HTTP/1.1 200 OK") == 10
    assert answers.count(b"HTTP/1.1 408 ") == 1


async def test_of_too_many_requests_at_once_the_first_are_answered(port: int) -> None:
    async with connected(port) as connection:
        await connection.send(GET * 500)
        answers = await connection.rest()
    assert 1 <= answers.count(b"HTTP/1.1 200 OK") <= Hasty.most_pipelined + 1


@pytest.mark.slow
async def test_an_idle_connection_ends(port: int) -> None:
    async with connected(port) as connection:
        await connection.send(GET)
        assert (await connection.rest()).count(b"HTTP/1.1 ") == 1


class Small(Hasty):
    """Gives the system little to keep for its clients."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        listener = transport.get_extra_info("socket")
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().connection_made(transport)


async def test_clients_that_never_read_are_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    page = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
    async with running_api(make_settings("unix:///nowhere/at/all"), Small) as api:
        with contextlib.ExitStack() as sockets:
            clients = [sockets.enter_context(socket.socket()) for _ in range(20)]
            for client in clients:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.connect(("127.0.0.1", api.base_url.port))
                client.sendall(page * 10)
            for client in clients:
                await asyncio.to_thread(until_reset, client)
    assert not [record for record in caplog.records if record.exc_info]


def until_reset(client: socket.socket) -> None:
    """Return when the other end has given up a connection; nothing is read of it."""
    poll = select.poll()
    poll.register(client, select.POLLERR)
    assert poll.poll(LIMIT_S * 1000), "the connection is still there"
