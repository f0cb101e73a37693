"""Thousands of clients that are broken, slow or hostile, on a real API process.

They cost it little memory, each is rid of in time, and none of them shows in its log as an error.
"""

import asyncio
import contextlib
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import httpx

from shared.config import Settings
from tests.faults.hasty_api import LIFETIME_S
from tests.faults.raw_clients import Seen, storm
from tests.scripted import ScriptedEngine
from tests.servers import (
    Valkey,
    environment,
    free_port,
    make_settings,
    running_worker,
    until_ready,
)

CLIENTS = 2400
TOGETHER = 150
MOST_GROWTH_KIB = 50 * 1024


@dataclass(frozen=True)
class Process:
    """A hasty API process."""

    port: int
    pid: int
    log: Path

    def resident_kib(self) -> int:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30)


def start(settings: Settings, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    variables = environment(
        PORT=str(port), REDIS_URL=str(settings.redis_url), PALAVER_NAMESPACE=settings.namespace
    )
    command = [sys.executable, "-m", "tests.faults.hasty_api"]
    return subprocess.Popen(command, env=variables, stdout=log, stderr=log)


@contextlib.asynccontextmanager
async def running_hasty_api(valkey: Valkey) -> AsyncIterator[Process]:
    port, settings = free_port(), make_settings(valkey.url)
    with tempfile.NamedTemporaryFile() as log:
        process = start(settings, port, log)
        api = Process(port, process.pid, Path(log.name))
        try:
            async with running_worker(settings, ScriptedEngine()), api.client() as client:
                await until_ready(client)
                yield api
        finally:
            process.terminate()
            process.wait()


async def most_memory(api: Process, stop: asyncio.Event) -> int:
    """The most that it takes until told to stop."""
    most = 0
    while not stop.is_set():
        most = max(most, api.resident_kib())
        await asyncio.sleep(0.1)
    return most


async def test_a_storm_of_broken_clients_leaves_nothing_behind(valkey: Valkey) -> None:
    async with running_hasty_api(valkey) as api, api.client() as client:
        # What it takes once it has done everything before.
        await storm(api.port, 100, together=50, limit_s=LIFETIME_S, seed=0)
        before_kib, before_files = api.resident_kib(), api.files()
        stop = asyncio.Event()
        watching = asyncio.create_task(most_memory(api, stop))
        seen: Seen = await storm(api.port, CLIENTS, together=TOGETHER, limit_s=LIFETIME_S)
        stop.set()
        grown_kib = await watching - before_kib
        answer = await client.post("/", json={"prompt": "Still there?"})
        async with asyncio.timeout(LIFETIME_S):
            while api.files() > before_files + 2:
                await asyncio.sleep(0.05)
        log = api.log.read_text()
    print(f"{grown_kib} KiB more at most", seen)
    assert answer.json()["reply"] == "You said: Still there?"
    assert sum(seen.kinds.values()) == CLIENTS
    assert not seen.overdue, seen
    assert grown_kib < MOST_GROWTH_KIB, f"{grown_kib} KiB"
    assert "Traceback" not in log, log[-3000:]
    assert "ERROR" not in log
