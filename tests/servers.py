"""Real servers for tests: an embedded Valkey, and Palaver's own parts around a scripted engine."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from api.app import Api, create_api
from api.http.connections import BoundedProtocol
from api.server import connect_cells
from shared.cells import Cells
from shared.config import Settings
from shared.process.embedded import server_binary
from tests.cores import IN_PARALLEL, MODEL_THREADS
from worker.engine.embedding import Embedder
from worker.engine.interface import Engine
from worker.template.renderer import InProcess
from worker.wiring import run_worker

START_TIMEOUT_S = 10.0


class Valkey:
    """A server of its own on a unix socket, in a folder of its own."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="palaver-test-"))
        self.socket = self.folder / "s"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Start, and return when it listens."""
        command = [str(server_binary()), "--port", "0", "--unixsocket", str(self.socket)]
        command += ["--dir", str(self.folder), "--save", "", "--loglevel", "warning"]
        command += ["--appendonly", "yes", *self._options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self._wait_until_it_listens()

    def _wait_until_it_listens(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        with socket.socket(socket.AF_UNIX) as probe:
            while probe.connect_ex(str(self.socket)) != 0:
                assert time.monotonic() < deadline, "the test's Valkey does not start"
                time.sleep(0.005)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def hang(self) -> None:
        """Keep every connection, and answer nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Answer again, also what was asked meanwhile."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its folder."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self.folder)


@contextlib.contextmanager
def running_valkey(*options: str) -> Iterator[Valkey]:
    server = Valkey(*options)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def make_settings(url: str, **variables: Any) -> Settings:
    """Settings with a key namespace of their own; `variables` by their environment names."""
    variables.setdefault("PALAVER_NAMESPACE", f"test-{uuid.uuid4().hex[:12]}")
    return Settings(_env_file=None, REDIS_URL=url, **variables)


def as_in_a_terminal() -> None:
    """Before a process begins: signals do what they do there, however the tests were started."""
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_DFL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True)
class Stack:
    """One API and its workers, in this event loop."""

    settings: Settings
    client: httpx.AsyncClient

    async def ask(self, prompt: str, **fields: Any) -> dict[str, Any]:
        """POST a prompt that must be answered with 200."""
        response = await self.client.post("/", json={"prompt": prompt, **fields})
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return answer


@contextlib.asynccontextmanager
async def running_worker(
    settings: Settings, engine: Engine | Embedder
) -> AsyncIterator[asyncio.Task[bool]]:
    """A worker that is stopped in good order at the end, unless it was cancelled."""
    stopping = asyncio.Event()
    task = asyncio.create_task(run_worker(settings, engine, stopping, make_renderer=InProcess))
    try:
        yield task
    finally:
        stopping.set()
        await asyncio.gather(task, return_exceptions=True)
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error


class _Server(uvicorn.Server):
    """One that leaves signals alone and stops at once, not with its next tick."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stopping = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def main_loop(self) -> None:
        await self.on_tick(0)
        await self.stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # What clients have closed is gone in a moment; uvicorn waits a tenth of a second at least.
        for _ in range(10):
            if self.server_state.connections or self.server_state.tasks:
                await asyncio.sleep(0.001)
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
        for listening in self.servers:
            listening.close()


@contextlib.asynccontextmanager
async def running_api(
    settings: Settings, http: type[BoundedProtocol] = BoundedProtocol
) -> AsyncIterator[httpx.AsyncClient]:
    """The API on a port of its own; yields a client for it."""
    async with running_server(settings, http) as (_, client):
        yield client


@contextlib.asynccontextmanager
async def running_server(
    settings: Settings, http: type[BoundedProtocol] = BoundedProtocol, **options: Any
) -> AsyncIterator[tuple[Api, httpx.AsyncClient]]:
    """The API on a port of its own, with what its server holds.

    `options` are those of its Redis connections, whose name is the namespace.
    """
    clients = connect_cells(Cells(settings), client_name=settings.namespace, **options)
    # Only where the protocol is named does asyncio send small packets at once.
    with socket.socket(proto=socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        async with create_api(settings, *clients) as api:
            config = uvicorn.Config(
                api.app, http=http, log_config=None, lifespan="off", access_log=False
            )
            server = _Server(config)
            serving = asyncio.create_task(server.serve(sockets=[listener]))
            address = f"http://127.0.0.1:{port}"
            try:
                # Certificates take long to load and are not needed.
                async with httpx.AsyncClient(
                    base_url=address, timeout=30, limits=httpx.Limits(), verify=False
                ) as client:
                    yield api, client
            finally:
                # As a process does that is told to stop.
                api.feed.stop_readers()
                server.stopping.set()
                await serving


@contextlib.asynccontextmanager
async def running_stack(settings: Settings, *engines: Engine | Embedder) -> AsyncIterator[Stack]:
    """One API and a worker for each engine; returns when a worker is ready."""
    async with contextlib.AsyncExitStack() as parts:
        client = await parts.enter_async_context(running_api(settings))
        for engine in engines:
            await parts.enter_async_context(running_worker(settings, engine))
        if engines:
            await until_ready(client)
        yield Stack(settings, client)


async def until_ready(client: httpx.AsyncClient) -> None:
    """Return when `/readyz` says so, of all cells."""
    async with asyncio.timeout(START_TIMEOUT_S):
        while not await _is_ready(client):
            await asyncio.sleep(0.01)


async def _is_ready(client: httpx.AsyncClient) -> bool:
    try:
        answer = await client.get("/readyz")
        return answer.status_code == 200 and "degraded" not in answer.json()
    except httpx.ConnectError:
        return False


def process_tree(pid: int) -> list[int]:
    """A process and all its descendants (Linux)."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    below: Sequence[str] = children.read_text().split() if children.exists() else ()
    return [pid, *(one for child in below for one in process_tree(int(child)))]


def is_alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def environment(**variables: str) -> dict[str, str]:
    """This process's environment without any of our settings, with `variables`.

    Where tests run in parallel each model gets its share of the cores.
    """
    ours = ("PALAVER_", "OTEL_", "HONCHO_", "REDIS_URL", "PORT", "HOST")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    if IN_PARALLEL > 1:
        clean["PALAVER_THREADS"] = str(MODEL_THREADS)
    return clean | variables
