"""Clients that speak HTTP badly, slowly, without end, or not at all; seeded, bounded."""

import asyncio
import contextlib
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

HOST = b"Host: localhost\r\n"
GET = b"GET /openapi.json HTTP/1.1\r\n" + HOST + b"\r\n"
"""Its answer is long, for clients that do not read."""
SMALL = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
"""Its answer is short: who reads sixteen of them through a small window is done in no time."""
POST = b"POST / HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
VALID = [
    GET,
    b"HEAD / HTTP/1.1\r\n" + HOST + b"Accept: text/html;q=0.4, */*\r\n\r\n",
    POST + b"Content-Length: 2\r\n\r\n{}",
    CHUNKED + b"2;name=value\r\n{}\r\n0\r\nTrailer: value\r\n\r\n",
    POST + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n" + b'{"prompt": 1}',
    b"GET http://localhost/healthz?query HTTP/1.1\r\n" + HOST + b"\r\n",
    b"DELETE /conversations/5/ HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n",
    POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n[]",
    b"OPTIONS /jobs HTTP/1.1\r\n" + HOST + b"Origin: null\r\n\r\n",
]
SPECIAL = [b"\r\n", b"\n", b"\0", b":", b" ", b";", b"chunked", b"-1", b"+5", b"\xff", b"HTTP/0.9"]
HEADERS = [
    b"Content-Length: 18446744073709551615\r\n",
    b"Content-Length: 5\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Host: other\r\n",
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
    b"Expect: 100-continue\r\n",
    b"Accept: " + b"a/b," * 5000 + b"*/*\r\n",
    b"Content-Encoding: gzip\r\n",
]
SEGMENTS = 200
PAUSE_S = 0.02


@dataclass(kw_only=True)
class Plan:
    """What one client does."""

    kind: str
    segments: Iterator[bytes]
    pause_s: float = 0.0
    reads: bool = True
    leaves: bool = False


@dataclass
class Seen:
    """What came of many clients."""

    kinds: Counter[str] = field(default_factory=Counter)
    longest_s: dict[str, float] = field(default_factory=dict)
    overdue: list[str] = field(default_factory=list)

    def note(self, kind: str, lasted_s: float, limit_s: float) -> None:
        self.kinds[kind] += 1
        self.longest_s[kind] = max(self.longest_s.get(kind, 0.0), lasted_s)
        if lasted_s >= limit_s:
            self.overdue.append(kind)


def mutated(rng: random.Random) -> bytes:
    """A request that was right before bytes were replaced, inserted, removed or repeated."""
    data = bytearray(rng.choice(VALID))
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                data[at:at] = rng.choice(SPECIAL)
            case 2:
                del data[at : at + rng.randint(1, 8)]
                data += b"x"
            case 3:
                data[at:at] = data[at : at + rng.randint(1, 40)]
            case _:
                line = data.find(b"\r\n", at) + 2
                data[line:line] = rng.choice(HEADERS)
    return bytes(data)


def cut(data: bytes, rng: random.Random) -> Iterator[bytes]:
    """In segments of any size."""
    while data:
        size = rng.choice((1, 7, 100, len(data)))
        yield data[:size]
        data = data[size:]


def repeated(*segments: bytes, again: bytes) -> Iterator[bytes]:
    """Beginning, and then the same again and again."""
    yield from segments
    for _ in range(SEGMENTS):
        yield again


def plans(rng: random.Random) -> list[Callable[[], Plan]]:
    """Every kind of client."""
    return [
        lambda: Plan(kind="mutated", segments=cut(mutated(rng), rng)),
        lambda: Plan(kind="mutated", segments=cut(mutated(rng) + mutated(rng), rng)),
        lambda: Plan(kind="leaving", segments=cut(mutated(rng), rng), leaves=True),
        lambda: Plan(
            kind="truncated", segments=iter([(d := mutated(rng))[: rng.randrange(len(d))]])
        ),
        lambda: Plan(kind="noise", segments=iter([rng.randbytes(rng.randint(1, 3000))])),
        lambda: Plan(kind="silent", segments=iter(())),
        lambda: Plan(kind="promised body", segments=iter([POST + b"Content-Length: 9\r\n\r\n"])),
        lambda: Plan(kind="promised chunks", segments=iter([CHUNKED])),
        lambda: Plan(
            kind="drip-fed head",
            segments=repeated(b"GET / HTTP/1.1\r\nX: ", again=b"x"),
            pause_s=PAUSE_S,
        ),
        lambda: Plan(
            kind="drip-fed body",
            segments=repeated(POST + b"Content-Length: 9999\r\n\r\n", again=b" "),
            pause_s=PAUSE_S,
        ),
        lambda: Plan(kind="extension", segments=repeated(CHUNKED, b"1;", again=b"e" * 30_000)),
        lambda: Plan(
            kind="trailers", segments=repeated(CHUNKED, b"0\r\n", again=b"a: b\r\n" * 3000)
        ),
        lambda: Plan(kind="long head", segments=repeated(GET[:-2], again=b"x: y\r\n" * 3000)),
        lambda: Plan(kind="one header", segments=iter([GET[:-2] + b"x: " + b"y" * 70_000])),
        lambda: Plan(
            kind="long body", segments=repeated(CHUNKED, again=b"8000\r\n" + b"x" * 32768 + b"\r\n")
        ),
        lambda: Plan(kind="line ends", segments=repeated(again=b"\r\n" * 10_000)),
        lambda: Plan(kind="pipelined", segments=iter([SMALL * 1000])),
        lambda: Plan(kind="unread", segments=iter([GET * 16]), reads=False),
    ]


async def be(plan: Plan, port: int, limit_s: float) -> float:
    """Do what a plan says; the seconds until the connection has ended, at most the limit."""
    client = socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    loop, began = asyncio.get_running_loop(), time.monotonic()
    with client, contextlib.suppress(TimeoutError, ConnectionError, BrokenPipeError):
        async with asyncio.timeout(limit_s), asyncio.TaskGroup() as group:
            await loop.sock_connect(client, ("127.0.0.1", port))
            sending = group.create_task(send(plan, client))
            if plan.leaves:
                await sending
                return 0.0
            if plan.reads:
                while await loop.sock_recv(client, 65_536):
                    pass
            else:
                while client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                    await asyncio.sleep(PAUSE_S)
            sending.cancel()
    return time.monotonic() - began


async def send(plan: Plan, client: socket.socket) -> None:
    """Send as long as somebody listens."""
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError, BrokenPipeError):
        for segment in plan.segments:
            await loop.sock_sendall(client, segment)
            await asyncio.sleep(plan.pause_s)


async def storm(
    port: int, count: int, *, together: int, limit_s: float, seed: int = 1, a_second: float = 0.0
) -> Seen:
    """So many clients of all kinds, some at a time; so many `a_second` begin, or as many as can."""
    rng, seen = random.Random(seed), Seen()
    kinds, places = plans(rng), asyncio.Semaphore(together)

    async def one(number: int) -> None:
        if a_second:
            await asyncio.sleep(number / a_second)
        async with places:
            plan = kinds[number % len(kinds)]()
            try:
                lasted_s = await be(plan, port, limit_s)
            except* OSError:
                lasted_s = 0.0
            seen.note(plan.kind, lasted_s, limit_s)

    await asyncio.gather(*(one(number) for number in range(count)))
    return seen
