"""Palaver as a user starts it: `palaver serve`, honcho, the Procfile, the real model."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from shared.data_folder import socket_path
from tests.servers import as_in_a_terminal, environment, free_port, is_alive, process_tree

ROOT = Path(__file__).resolve().parents[2]
COMMAND = (sys.executable, "-m", "cli", "serve")
"""`palaver serve` of these sources, installed or not."""
READY_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0


class Palaver:
    """A running `palaver serve`.

    Args:
        data_dir: the data folder.
        command: what `palaver serve` is.
        folder: where it is started.
        variables: further settings; `BEFORE` is a command that starts it.
    """

    def __init__(
        self,
        data_dir: Path,
        workers: int = 1,
        *,
        command: Sequence[str] = COMMAND,
        folder: Path = ROOT,
        **variables: str,
    ) -> None:
        before = [variables.pop("BEFORE")] if "BEFORE" in variables else []
        self.port = int(variables.pop("PORT", "") or free_port())
        self.data_dir = data_dir
        self.output: list[str] = []
        self._changed = threading.Condition()
        self._process = subprocess.Popen(
            [*before, *command, "--workers", str(workers)],
            cwd=folder,
            env=environment(
                PORT=str(self.port),
                PALAVER_DATA_DIR=str(data_dir),
                **variables,
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            preexec_fn=as_in_a_terminal,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def redis_url(self) -> str:
        """The embedded server's address."""
        return f"unix://{socket_path(self.data_dir)}"

    @property
    def text(self) -> str:
        with self._changed:
            return "".join(self.output)

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                with self._changed:
                    self.output.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, pattern: str, count: int = 1, timeout: float = READY_TIMEOUT_S) -> None:
        """Return when the output has a pattern so many times."""
        with self._changed:
            found = self._changed.wait_for(
                lambda: (
                    len(re.findall(pattern, "".join(self.output))) >= count
                    or self._process.poll() is not None
                ),
                timeout,
            )
        assert found, f"{pattern!r} did not come:\n{self.text}"
        assert len(re.findall(pattern, self.text)) >= count, f"it ended:\n{self.text}"

    def wait_until_ready(self, workers: int = 1) -> "Palaver":
        self.wait_for("Palaver is ready on")
        self.wait_for(r"worker \S+ is ready", workers)
        return self

    def processes(self) -> list[int]:
        """All processes that belong to it."""
        return process_tree(self.pid)

    def signal(self, signum: int) -> None:
        """As the terminal does: to the whole foreground process group."""
        os.killpg(self.pid, signum)

    def wait(self, timeout: float = STOP_TIMEOUT_S) -> int:
        """The exit status, once it has ended."""
        status = self._process.wait(timeout)
        self._reader.join(timeout)
        return status

    def stop(self) -> None:
        """End it in good order, and make sure of it."""
        if self._process.poll() is None:
            self.signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.wait()
        for pid in self.processes() if self._process.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def client(self) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=60)


@contextlib.contextmanager
def running_palaver(data_dir: Path, workers: int = 1, **options: Any) -> Iterator[Palaver]:
    palaver = Palaver(data_dir, workers, **options)
    try:
        yield palaver.wait_until_ready(workers)
    finally:
        palaver.stop()


@contextlib.contextmanager
def another_api(palaver: Palaver) -> Iterator[str]:
    """A second API process on the same Redis; yields its address."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    variables = environment(PORT=str(port), REDIS_URL=palaver.redis_url)
    process = subprocess.Popen([sys.executable, "-m", "api"], cwd=ROOT, env=variables)
    try:
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not _is_ready(url):
            assert time.monotonic() < deadline, "the second API does not become ready"
            time.sleep(0.02)
        yield url
    finally:
        process.terminate()
        process.wait(STOP_TIMEOUT_S)


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.ConnectError:
        return False


def wait_until_gone(pids: list[int], timeout: float = STOP_TIMEOUT_S) -> list[int]:
    """The processes that are still there after a while."""
    deadline = time.monotonic() + timeout
    while (alive := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return alive
