"""What it takes to wake a worker while many wait: by a stream of its own, or by one for all."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from bench.redis_cost.timing import cpu_s
from shared.store.connection import connect
from tests.servers import Valkey, make_settings, running_valkey

GROUP: Final = "workers"
SHARED: Final = "permits"
RINGS: Final = 200
PATIENCE_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Waking one of so many workers.

    Args:
        woken: workers that a bell woke, on average.
        own_us: CPU time of the server with a stream for each worker, in microseconds.
        shared_us: the same with one stream and a consumer group for all.
    """

    workers: int
    woken: float
    own_us: float
    shared_us: float


class Waiting:
    """Workers that wait, each on a connection of its own, without a client's cost.

    Args:
        is_shared: whether all of them wait for one stream.
    """

    def __init__(self, path: str, *, is_shared: bool) -> None:
        self._path = path
        self._is_shared = is_shared
        self._woken: asyncio.Queue[int] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, number: int) -> None:
        for worker in range(number):
            reader, writer = await asyncio.open_unix_connection(self._path)
            self._writers.append(writer)
            self._wait(worker)
            self._tasks.append(asyncio.create_task(self._read(worker, reader)))

    def stream(self, worker: int) -> str:
        return SHARED if self._is_shared else f"worker:{worker}:bells"

    def _wait(self, worker: int) -> None:
        group = f"GROUP {GROUP} {worker} " if self._is_shared else ""
        command, last = ("XREADGROUP", ">") if self._is_shared else ("XREAD", "$")
        line = f"{command} {group}COUNT 1 BLOCK 0 STREAMS {self.stream(worker)} {last}\r\n"
        self._writers[worker].write(line.encode())

    async def _read(self, worker: int, reader: asyncio.StreamReader) -> None:
        while await reader.read(4096):
            self._woken.put_nowait(worker)

    async def woken(self) -> int:
        """How many were woken; returns when the first was. They wait again."""
        workers = [await self._woken.get()]
        while not self._woken.empty():
            workers.append(self._woken.get_nowait())
        for worker in workers:
            self._wait(worker)
        return len(workers)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()


@contextlib.asynccontextmanager
async def waiting(server: Valkey, number: int, *, is_shared: bool) -> AsyncIterator[Waiting]:
    workers = Waiting(str(server.socket), is_shared=is_shared)
    await workers.open(number)
    yield workers
    await workers.close()


async def until_blocked(redis: Any, number: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await redis.info("clients"))["blocked_clients"] < number:
            await asyncio.sleep(0.001)


async def ring_all(redis: Any, number: int, workers: Waiting) -> tuple[float, float]:
    """CPU microseconds of the server for a bell, and how many it woke."""
    woken, used_s = 0, 0.0
    for ring in range(RINGS):
        await until_blocked(redis, number)
        before = await cpu_s(redis)
        await redis.xadd(workers.stream(ring % number), {"b": ""}, maxlen=8)
        woken += await workers.woken()
        used_s += await cpu_s(redis) - before
    return used_s / RINGS * 1e6, woken / RINGS


async def measure(number: int) -> Ring:
    with running_valkey() as server:
        async with connect(make_settings(server.url)) as redis:
            await redis.xgroup_create(SHARED, GROUP, mkstream=True)
            async with waiting(server, number, is_shared=False) as workers:
                own_us, woken = await ring_all(redis, number, workers)
            await until_gone(redis)
            async with waiting(server, number, is_shared=True) as workers:
                shared_us, _ = await ring_all(redis, number, workers)
    return Ring(workers=number, woken=woken, own_us=own_us, shared_us=shared_us)


async def until_gone(redis: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await redis.info("clients"))["blocked_clients"]:
            await asyncio.sleep(0.001)
