"""Palaver as several machines would run it: real processes, each with its own way to one Valkey.

Or all of them on a Redis Cluster, which they find their own ways to.
"""

import asyncio
import contextlib
import os
import signal
import string
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import IO, Any

import httpx
from redis.asyncio import Redis

from shared.cells import Cells
from shared.process.lifeline import die_with_parent
from shared.store.connection import REDIS_UNAVAILABLE, connect
from shared.store.keys import Keys
from tests.faults.kept import KeptValkey
from tests.faults.partition import Partition, running_partition
from tests.faults.redis_cluster import RedisCluster
from tests.faults.tls import make_certificate, running_tls_partition
from tests.servers import Valkey, environment, free_port, make_settings

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0
STOP_S = 20.0
NAMESPACE = "faults"


class Process:
    """One API or worker; started again at will.

    Args:
        module: what it runs.
        partition: between it and Redis, if there is one.
        variables: its settings.
        log: where its output goes.
    """

    def __init__(
        self, module: str, partition: Partition | None, variables: Mapping[str, str], log: Path
    ) -> None:
        self._partition = partition
        self._command = [sys.executable, "-m", module]
        self._variables = dict(variables)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._file: IO[bytes] | None = None

    @property
    def partition(self) -> Partition:
        """Between it and Redis."""
        assert self._partition is not None
        return self._partition

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def model(self) -> str:
        """What a worker serves, where it has a name."""
        return self._variables.get("PALAVER_MODEL_NAME", "")

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def output(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def start(self, **variables: str) -> None:
        """Start it, with some more settings."""
        parent = os.getpid()
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=environment(**self._variables | variables),
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: die_with_parent(parent, signal.SIGKILL),
            )

    def send(self, signum: int) -> None:
        if self.is_running:
            os.kill(self.pid, signum)

    async def ended(self, within_s: float = STOP_S) -> int:
        """Its exit status, once it has ended.

        Raises:
            TimeoutError: it goes on living.
        """
        assert self._process is not None
        async with asyncio.timeout(within_s):
            while (status := self._process.poll()) is None:
                await asyncio.sleep(0.01)
        return status

    async def stop(self, signum: int = signal.SIGTERM) -> int:
        """End it; returns its exit status."""
        self.send(signum)
        return await self.ended()

    def kill(self) -> None:
        """End it at once, in whatever state it is."""
        if self.is_running:
            assert self._process is not None
            self._process.kill()
            self._process.wait()


class Cluster:
    """Processes around one Valkey, or around a Redis Cluster."""

    def __init__(
        self,
        server: Valkey | RedisCluster,
        apis: list[Process],
        workers: list[Process],
        ports: list[int],
        cells: int = 1,
    ) -> None:
        self.server = server
        self.apis = apis
        self.workers = workers
        self.ports = ports
        whole = make_settings(server.url, PALAVER_NAMESPACE=NAMESPACE, PALAVER_CELLS=cells)
        self.cells = Cells(whole)
        self.keys = self.keys_of(0)
        """Of the only cell, or of the first one."""

    @property
    def valkey(self) -> Valkey:
        """The one server."""
        assert isinstance(self.server, Valkey)
        return self.server

    def url(self, api: int = 0) -> str:
        return f"http://127.0.0.1:{self.ports[api]}"

    def client(self, api: int = 0) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url(api), timeout=60)

    def keys_of(self, cell: int) -> Keys:
        return Keys(self.cells.settings[cell].keyspace)

    def redis(self, cell: int = 0) -> Redis:
        """A connection that no fault touches."""
        return connect(self.cells.settings[cell])

    @asynccontextmanager
    async def loaded_redis(self) -> AsyncIterator[Redis]:
        """The same, once the server has loaded its data, or another one has taken its place."""
        async with self.redis() as redis:
            while await _is_away(redis):
                await asyncio.sleep(0.02)
            yield redis

    def worker_of(self, worker_id: str) -> Process:
        """The process behind the id that Redis knows it by; it runs."""
        worker = self.known_worker(worker_id)
        assert worker is not None
        return worker

    def known_worker(self, worker_id: str) -> Process | None:
        """The process behind the id that Redis knows it by; None if it has ended."""
        pid = int(worker_id.split(":")[1])
        return next((one for one in self.workers if one.is_running and one.pid == pid), None)

    async def ready(self, *, workers: int | None = None) -> None:
        """Return when every API would accept a prompt and so many workers are there."""
        wanted = len(self.workers) if workers is None else workers
        deadline = time.monotonic() + READY_S
        while not await self._is_ready(wanted):
            if time.monotonic() > deadline:
                raise AssertionError("it does not become ready:\n" + self.output)
            await asyncio.sleep(0.02)

    @property
    def processes(self) -> list[Process]:
        return [*self.apis, *self.workers]

    @property
    def output(self) -> str:
        return "".join(one.output for one in self.processes)

    async def held_by(self, workers: set[int]) -> list[str]:
        """The turns that these processes hold; waits for a server that loads its data."""
        held = []
        async with self.loaded_redis() as redis:
            for job in await redis.zrange(self.keys.open_jobs, 0, -1):
                fields: Any = redis.hmget(self.keys.job(job), ["status", "worker"])
                status, worker = await fields
                if status == "in_progress" and int(worker.split(":")[1]) in workers:
                    held.append(f"job {job} of {worker}")
        return held

    async def _is_ready(self, workers: int) -> bool:
        with contextlib.suppress(httpx.TransportError, *REDIS_UNAVAILABLE):
            for cell in self.cells.all:
                keys = self.keys_of(cell)
                async with self.redis(cell) as redis:
                    names = await redis.zrange(keys.workers, 0, -1)
                    alive = [name for name in names if await redis.exists(keys.worker(name))]
                if len(alive) < workers:
                    return False
            async with httpx.AsyncClient() as client:
                for port in self.ports:
                    answer = await client.get(f"http://127.0.0.1:{port}/readyz")
                    if answer.status_code != 200:
                        return False
                return True
        return False


async def _is_away(redis: Redis) -> bool:
    try:
        await redis.ping()
    except REDIS_UNAVAILABLE:
        return True
    return False


def _of_model(models: Sequence[str], number: int) -> dict[str, str]:
    """Settings of a worker by its number."""
    if not models:
        return {}
    name = models[number % len(models)]
    fingerprint = "scripted" if name == models[0] else "shifted"
    hand = string.ascii_lowercase[number % 26]
    return {"PALAVER_MODEL_NAME": name, "FAULTS_MODEL": fingerprint, "FAULTS_HAND": hand}


@asynccontextmanager
async def running_cluster(
    *,
    apis: int = 1,
    workers: int = 2,
    lease_s: float = 2.0,
    piece_s: float = 0.005,
    valkey_options: tuple[str, ...] = (),
    like_a_service: bool = False,
    models: Sequence[str] = (),
    **variables: str,
) -> AsyncIterator[Cluster]:
    """A cluster that is ready; everything of it ends with the context.

    `like_a_service`: the server is kept as the embedded one is, and the last API and the last
    worker come to it by TLS. `models`: what the workers serve, in turn; all but the first have
    token ids of their own. Then each worker also writes in a hand of its own.
    """
    valkey = KeptValkey() if like_a_service else Valkey(*valkey_options)
    valkey.start()
    certificate = make_certificate(valkey.folder) if like_a_service else None

    def way_of(name: str) -> AbstractAsyncContextManager[Partition]:
        if certificate is not None and name in (f"a{apis - 1}", f"w{workers - 1}"):
            return running_tls_partition(certificate, valkey.socket)
        return running_partition(valkey.folder / f"{name}.sock", valkey.socket)

    try:
        async with _running_around(
            valkey,
            valkey.folder,
            way_of,
            apis=apis,
            workers=workers,
            lease_s=lease_s,
            piece_s=piece_s,
            models=models,
            **variables,
        ) as cluster:
            yield cluster
    finally:
        valkey.stop()


@asynccontextmanager
async def running_on_nodes(
    nodes: RedisCluster, folder: Path, *, models: Sequence[str], **variables: Any
) -> AsyncIterator[Cluster]:
    """The same on a Redis Cluster, without anything between it and the processes."""
    async with _running_around(nodes, folder, None, models=models, **variables) as cluster:
        yield cluster


@asynccontextmanager
async def _running_around(
    server: Valkey | RedisCluster,
    folder: Path,
    way_of: Callable[[str], AbstractAsyncContextManager[Partition]] | None,
    *,
    apis: int,
    workers: int,
    lease_s: float,
    piece_s: float,
    models: Sequence[str],
    **variables: str,
) -> AsyncIterator[Cluster]:
    settings = {
        "PALAVER_NAMESPACE": NAMESPACE,
        "PALAVER_LEASE": str(lease_s),
        "PALAVER_CONTEXT_LENGTH": "100000",
        "PALAVER_MAX_TOKENS": "1000",
        "PALAVER_GRACE": "0",
        "FAULTS_PIECE_S": str(piece_s),
        **variables,
    }
    async with contextlib.AsyncExitStack() as stack:

        async def process(module: str, name: str, **more: str) -> Process:
            partition = await stack.enter_async_context(way_of(name)) if way_of else None
            url = partition.url if partition else server.url
            environ = settings | more | {"REDIS_URL": url}
            one = Process(module, partition, environ, folder / f"{name}.log")
            # Before its way to Redis closes: it would come back at once.
            stack.callback(one.kill)
            one.start()
            return one

        ports = [free_port() for _ in range(apis)]
        cluster = Cluster(
            server,
            [await process("api.server", f"a{n}", PORT=str(p)) for n, p in enumerate(ports)],
            [
                await process("tests.faults.worker", f"w{n}", **_of_model(models, n))
                for n in range(workers)
            ],
            ports,
            int(variables.get("PALAVER_CELLS", 1)),
        )
        await cluster.ready()
        yield cluster
