"""The servers that are compared: how each is started, and how its clients talk to it."""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from redis import Redis

from bench.comparison.build import BUILD, Peers
from bench.comparison.dialogues import CompletionsDialogue, MakeDialogue, PalaverDialogue
from shared.process.lifeline import die_with_parent
from shared.store.keys import Keys
from tests.e2e.processes import running_palaver
from tests.servers import environment, free_port
from worker.engine.vocabulary import ModelVocabulary

SLOTS: Final = 8
HEARTBEAT_S: Final = 1.0
READY_S: Final = 60.0
STOP_S: Final = 10.0
NEVER: Final = -100.0
"""A logit bias that leaves a token without a chance."""


@dataclass(frozen=True)
class Bench:
    """What all servers have in common."""

    model: Path
    threads: int
    peers: Peers
    vocabulary: ModelVocabulary


@dataclass(frozen=True)
class Server:
    """A running server.

    Args:
        port: where it listens.
        told: gives what it measures itself.
    """

    port: int
    told: Callable[[], dict[str, float]] = dict


Start = Callable[[Bench, int], contextlib.AbstractContextManager[Server]]
"""Starts a server with a window for each of its slots; returns once it is ready."""


@dataclass(frozen=True)
class Engine:
    """One of the servers, in one setting.

    Args:
        title: as in the report.
        start: starts it.
        dialogue: gives what begins conversations with it.
        workloads: those it is meant for; empty for all.
    """

    title: str
    start: Start
    dialogue: Callable[[Bench], MakeDialogue]
    workloads: tuple[str, ...] = ()

    def plays(self, workload: str) -> bool:
        return not self.workloads or workload in self.workloads


@contextlib.contextmanager
def start_palaver(bench: Bench, window: int) -> Iterator[Server]:
    """All of it: honcho, API, embedded Valkey, one worker."""
    with (
        tempfile.TemporaryDirectory(prefix="palaver-compare-") as folder,
        running_palaver(
            Path(folder),
            PALAVER_MODEL_PATH=str(bench.model),
            PALAVER_CONVERT="off",
            PALAVER_CONTEXT_LENGTH=str(window),
            PALAVER_SLOTS=str(SLOTS),
            PALAVER_THREADS=str(bench.threads),
            PALAVER_HEARTBEAT=str(HEARTBEAT_S),
        ) as palaver,
    ):
        yield Server(palaver.port, partial(told_by_worker, palaver.redis_url))


def told_by_worker(redis_url: str) -> dict[str, float]:
    """The share of a worker's steps that is not llama.cpp's, in its next sign of life."""
    time.sleep(2 * HEARTBEAT_S)
    keys = Keys("palaver")
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        [worker] = redis.zrange(keys.workers, 0, -1)
        stats = orjson.loads(redis.hget(keys.worker(worker), "stats"))
    return {"host_share_percent": 100 * stats["host_share"]}


@contextlib.contextmanager
def llama_server(bench: Bench, window: int, *, options: Sequence[str] = ()) -> Iterator[Server]:
    port, threads = free_port(), str(bench.threads)
    command = [str(bench.peers.llama_server), "--port", str(port), "-m", str(bench.model)]
    command += ["-t", threads, "-tb", threads, "-np", str(SLOTS), "-c", str(SLOTS * window)]
    with running([*command, *options], port, "/health"):
        yield Server(port)


@contextlib.contextmanager
def python_server(bench: Bench, window: int) -> Iterator[Server]:
    """The server inside the package: one request at a time."""
    port = free_port()
    options = {
        "model": bench.model,
        "port": port,
        "n_ctx": window,
        "n_threads": bench.threads,
        "n_threads_batch": bench.threads,
        "logits_all": False,
        # By default a stream is cut short as soon as somebody else waits.
        "interrupt_requests": False,
    }
    flags = (str(part) for name, value in options.items() for part in (f"--{name}", value))
    command = [str(bench.peers.python), "-m", "llama_cpp.server", *flags]
    with running(command, port, "/v1/models"):
        yield Server(port)


@contextlib.contextmanager
def batched_python_server(bench: Bench, window: int) -> Iterator[Server]:
    """The example in its sources that batches."""
    port = free_port()
    config = {
        "server": {"port": port},
        "model": {
            "path": str(bench.model),
            "alias": "compared",
            "n_ctx": SLOTS * window,
            "n_seq_max": SLOTS,
            "threads": bench.threads,
            "threads_batch": bench.threads,
            "store_logits": False,
        },
    }
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        file.write(orjson.dumps(config))
        file.flush()
        command = [str(bench.peers.python), str(bench.peers.batched_server), "-C", file.name]
        with running(command, port, "/v1/models"):
            yield Server(port)


@contextlib.contextmanager
def running(command: Sequence[str], port: int, ready_path: str) -> Iterator[None]:
    """A process of our own that serves HTTP; it ends with us, whatever happens.

    Raises:
        RuntimeError: it does not come up; its output is in the log.
    """
    parent, log_path = os.getpid(), BUILD / f"{Path(command[0]).name}.log"
    with open(log_path, "wb") as log:
        process = subprocess.Popen(
            command,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(parent, signal.SIGKILL),
        )
        try:
            wait_until_ready(process, f"http://127.0.0.1:{port}{ready_path}", log_path)
            yield
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_S)
            process.kill()
            process.wait()


def wait_until_ready(process: "subprocess.Popen[bytes]", url: str, log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(url).status_code == httpx.codes.OK:
                return
        time.sleep(0.1)
    raise RuntimeError(f"a server does not come up; see {log}")


def palaver_dialogue(_bench: Bench) -> MakeDialogue:
    return PalaverDialogue


def completions(bench: Bench, *, biased: bool = False) -> MakeDialogue:
    """For stateless peers; `biased` for those that do not know `ignore_eos`."""
    never = {str(token): NEVER for token in bench.vocabulary.eog_tokens}
    options: dict[str, Any] = {"logit_bias": never} if biased else {}

    def count(text: str) -> int:
        return len(bench.vocabulary.tokenize(text, special=False))

    return partial(CompletionsDialogue, count=count, options=options)


def llama_server_with(*options: str, workloads: tuple[str, ...] = ()) -> Engine:
    title = " ".join(("llama-server", *options))
    return Engine(title, partial(llama_server, options=options), completions, workloads)


PALAVER: Final = "palaver"
DEFAULT: Final = "llama-server"
UNIFIED: Final = "llama-server-kvu"
REUSING: Final = "llama-server-reuse"
SMALL_BATCH: Final = "llama-server-small-batch"

PYTHONS: Final = ("own", "one")
"""What servers in Python play: many users and one; the rest would add an hour to three rounds."""

ENGINES: Final[dict[str, Engine]] = {
    PALAVER: Engine("Palaver", start_palaver, palaver_dialogue),
    DEFAULT: llama_server_with(),
    UNIFIED: llama_server_with("-kvu", "--cache-reuse", "256", "--cache-ram", "-1"),
    REUSING: llama_server_with("--cache-reuse", "32", workloads=("long",)),
    SMALL_BATCH: llama_server_with("-b", "256", "-ub", "256", workloads=("burst",)),
    "llama-cpp-python": Engine(
        "llama-cpp-python's server",
        python_server,
        partial(completions, biased=True),
        workloads=PYTHONS,
    ),
    "llama-cpp-python-batched": Engine(
        "llama-cpp-python's batched example",
        batched_python_server,
        partial(completions, biased=True),
        workloads=PYTHONS,
    ),
}
