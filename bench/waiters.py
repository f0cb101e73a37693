"""Many open event streams on one API process, while pieces arrive for all of them.

    python -m bench.waiters [--streams 2000 --pieces-per-second 500 --seconds 20]

One real API process under uvicorn and an embedded Valkey. This process plays the workers: it
submits and claims a turn for every stream, then emits pieces round robin with the real scripts, at
a rate that all streams together see; each piece's text is the time at which its emit began. Another
process holds the streams, as plain sockets. `--waiting N` leaves N of the streams' turns in the
queue, where the API looks their places up. A stream's memory is the growth of the API's resident
set, from one stream served before to the end of the measurement.
"""

import argparse
import asyncio
import contextlib
import itertools
import logging
import multiprocessing
import os
import re
import resource
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final, cast

import uvloop

from bench.overhead import api_process, running, until_up
from shared import ids
from shared.config import Settings
from shared.store.claims import Claims
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.submissions import Submissions
from shared.store.workers import Workers
from shared.wire.claim import Claim
from shared.wire.limits import DEFAULT_OWNER
from shared.wire.publication import PieceRecord
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.turn_request import TurnRequest
from shared.wire.worker_report import WorkerReport
from shared.wire.write_outcome import WriteOutcome
from tests.servers import free_port, make_settings, running_valkey

WORKER: Final = "bench"
MODEL: Final = "bench"
LANES: Final = 8
"""Emits that are on their way together, at most."""
OPENING: Final = 64
"""Streams that are being opened together."""
OPEN_S: Final = 120.0
SETTLE_S: Final = 2.0
LIMIT_S: Final = 300.0
GOALS: Final = "p99 <= 250 ms, <= 25 KB a stream, <= 10 connections"


class Reader(asyncio.Protocol):
    """One stream, read without a parser: what matters are our times in the pieces' text."""

    _piece = re.compile(rb'"text":"@(\d+)"')

    def __init__(self, job: str, latencies: list[float]) -> None:
        self._job, self._latencies = job, latencies
        self._rest = b""
        self.begun = asyncio.get_running_loop().create_future()
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        request = f"GET /jobs/{self._job}/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
        cast(asyncio.Transport, transport).write(request.encode())

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        whole, end, self._rest = (self._rest + data).rpartition(b"\n\n")
        if not end:
            return
        for sent in self._piece.findall(whole):
            self._latencies.append((now - int(sent)) / 1e6)
        if not self.begun.done() and (b"event: started" in whole or b"event: queued" in whole):
            assert b" 200 " in whole[:20], whole[:200]
            self.begun.set_result(None)

    def connection_lost(self, _error: Exception | None) -> None:
        self.lost = True
        if not self.begun.done():
            self.begun.set_exception(ConnectionError("the stream did not begin"))


async def hold(port: int, jobs: Sequence[str], parent: Connection) -> None:
    """Open every stream, say so, and answer each question with what has arrived since the last."""
    latencies: list[float] = []
    readers = [Reader(job, latencies) for job in jobs]
    left, loop = iter(readers), asyncio.get_running_loop()

    async def lane() -> None:
        for reader in left:
            await loop.create_connection(lambda r=reader: r, "127.0.0.1", port)  # type: ignore[misc]
            await reader.begun

    async with asyncio.timeout(OPEN_S), asyncio.TaskGroup() as group:
        for _ in range(OPENING):
            group.create_task(lane())
    parent.send(None)
    while await asyncio.to_thread(parent.recv):
        parent.send((list(latencies), sum(reader.lost for reader in readers)))
        latencies.clear()


def quiet_api_process(settings: Settings) -> None:
    """The API; that it breaks streams off when it stops is no news here."""
    logging.disable()
    api_process(settings)


def client_process(port: int, jobs: Sequence[str], parent: Connection) -> None:
    raise_file_limit()
    with contextlib.suppress(EOFError):
        uvloop.run(hold(port, jobs, parent))


def raise_file_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Load:
    """Plays clients that submit, and workers: claims turns, emits their pieces."""

    def __init__(self, redis: Any, settings: Settings) -> None:
        self._redis, self._keys = redis, Keys(settings.namespace)
        self._submissions = Submissions(redis, self._keys, settings)
        self._claims = Claims(redis, self._keys, settings, pool=MODEL)
        self._workers = Workers(redis, self._keys)
        self.emitted = 0

    async def announce(self) -> None:
        state = WorkerReport(model_name=MODEL, fingerprint=MODEL, slots=1)
        await self._workers.announce(WORKER, state, LIMIT_S)

    async def submit(self, number: int) -> list[str]:
        """So many jobs, each of a conversation of its own."""
        request = TurnRequest(prompt="Count.", context=None, replace_from=None, sampling=Sampling())
        jobs = [ids.new_job() for _ in range(number)]
        for job in jobs:
            await self._submissions.submit(
                Submission(
                    job_id=job,
                    conversation_id=ids.new_conversation(),
                    owner_id=DEFAULT_OWNER,
                    new=True,
                    instructions="",
                    request=request,
                )
            )
        return jobs

    async def claim(self, number: int) -> list[Claim]:
        """The oldest of them, started."""
        return await self._claims.take(WORKER, secrets.token_hex(8), number)

    async def emit(self, claims: Sequence[Claim], per_second: float, seconds: float) -> float:
        """Emit round robin in even steps; returns how many pieces a second it came to."""
        steps, began = itertools.count(), time.monotonic()

        async def lane() -> None:
            for step in steps:
                due = began + step / per_second
                if due >= began + seconds:
                    return
                await asyncio.sleep(due - time.monotonic())
                at, which = divmod(step, len(claims))
                piece = PieceRecord(text=f"@{time.monotonic_ns()}", token_ids=(step % 49_000,))
                assert await self._claims.publish(claims[which], at, piece) is WriteOutcome.OK
                self.emitted += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(LANES):
                group.create_task(lane())
        return self.emitted / (time.monotonic() - began)


def resident(pid: int) -> int:
    """Bytes."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def connections(redis: Any) -> int:
    """Those of the API: all but ours, which have a name."""
    return sum(client["name"] != WORKER for client in await redis.client_list())


@dataclass
class Found:
    """What one run gives; memory in bytes, latencies in milliseconds, CPU in cores."""

    streams: int
    waiting: int
    latencies: list[float]
    emitted: int
    per_second: float
    lost: int
    resident_open: int
    resident_end: int
    redis_connections: int
    cpu_idle: float
    cpu_load: float


async def measured(settings: Settings, pid: int, options: argparse.Namespace) -> Found:
    """Open the streams, let them be silent, emit."""
    redis: Any = connect(settings, client_name=WORKER)
    load, spawn = Load(redis, settings), multiprocessing.get_context("spawn")
    await load.announce()
    await until_up(settings.port)
    jobs = await load.submit(options.streams + 1)
    claims = await load.claim(options.streams + 1 - options.waiting)
    with contextlib.ExitStack() as stack:

        async def opened(of: Sequence[str]) -> Connection:
            ours, theirs = spawn.Pipe()
            stack.enter_context(running(client_process, settings.port, of, theirs))
            theirs.close()
            assert await asyncio.to_thread(ours.poll, OPEN_S), "the streams could not be opened"
            ours.recv()
            return ours

        await opened(jobs[:1])
        before = resident(pid)
        clients = await opened(jobs[1:])
        await asyncio.sleep(SETTLE_S)
        resident_open, cpu, began = resident(pid), cpu_s(pid), time.monotonic()
        await asyncio.sleep(SETTLE_S * 2)
        cpu_idle = (cpu_s(pid) - cpu) / (time.monotonic() - began)
        await load.announce()
        cpu, began = cpu_s(pid), time.monotonic()
        rate = await load.emit(claims[1:], options.pieces_per_second, options.seconds)
        cpu_load = (cpu_s(pid) - cpu) / (time.monotonic() - began)
        await asyncio.sleep(SETTLE_S)
        clients.send(True)
        latencies, lost = await asyncio.to_thread(clients.recv)
        found = Found(
            options.streams, options.waiting, latencies, load.emitted, rate, lost,
            resident_open - before, resident(pid) - before, await connections(redis),
            cpu_idle, cpu_load,
        )  # fmt: skip
    await redis.aclose(close_connection_pool=True)
    return found


def report(found: Found) -> str:
    ordered = sorted(found.latencies)
    p50, p99 = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.99))
    rows = {
        "streams (of queued turns)": f"{found.streams:,} ({found.waiting:,})",
        "pieces a second, achieved": f"{found.per_second:.0f}",
        "pieces emitted / arrived": f"{found.emitted:,} / {len(ordered):,}",
        "streams that broke off": f"{found.lost}",
        "piece latency p50 / p99 / longest, ms": f"{p50:.1f} / {p99:.1f} / {ordered[-1]:.1f}",
        "API memory a stream, just opened, KB": f"{found.resident_open / found.streams / 1e3:.1f}",
        "API memory a stream, at the end, KB": f"{found.resident_end / found.streams / 1e3:.1f}",
        "API's Redis connections": f"{found.redis_connections}",
        "API CPU, streams silent": f"{found.cpu_idle:.0%}",
        "API CPU, under load": f"{found.cpu_load:.0%}",
    }
    lines = [f"goals: {GOALS}", "", "| waiters | |", "| --- | ---: |"]
    return "\n".join([*lines, *(f"| {name} | {value} |" for name, value in rows.items())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--streams", type=int, default=2000)
    parser.add_argument("--waiting", type=int, default=0)
    parser.add_argument("--pieces-per-second", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=20)
    options = parser.parse_args()
    raise_file_limit()
    with running_valkey() as server:
        limits = {"PALAVER_QUEUE_LIMIT": 1_000_000, "PALAVER_LEASE": 600}
        settings = make_settings(server.url, PORT=free_port(), **limits)
        with running(quiet_api_process, settings):
            [api] = multiprocessing.active_children()
            assert api.pid is not None

            async def run(pid: int) -> Found:
                async with asyncio.timeout(LIMIT_S):
                    return await measured(settings, pid, options)

            found = uvloop.run(run(api.pid))
    print(report(found))


if __name__ == "__main__":
    main()
