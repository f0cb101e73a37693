"""The embedded server as Palaver runs it: kept by `shared.process.keeper`."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from redis import Redis

from shared.data_folder import socket_path
from tests.servers import START_TIMEOUT_S, Valkey, environment, process_tree

ROOT = Path(__file__).resolve().parents[2]
STOP_S = 30.0


class KeptValkey(Valkey):
    """A keeper and its server; what is done to the server is done to both."""

    def __init__(self) -> None:
        super().__init__()
        self.socket = socket_path(self.folder)
        self._server = 0

    def start(self) -> None:
        with open(self.folder / "keeper.log", "ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "shared.process.keeper"],
                cwd=ROOT,
                env=environment(PALAVER_DATA_DIR=str(self.folder), PALAVER_GRACE="0"),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_it_listens()
        self._write_before_answering()
        [_, self._server] = process_tree(self._process.pid)

    def _write_before_answering(self) -> None:
        """Nothing is lost with the server; by default it may lose a second while disks are busy."""
        with Redis.from_url(self.url) as redis:
            redis.config_set("appendfsync", "always")

    def stop(self) -> None:
        self.kill()
        for folder in (self.folder, self.socket.parent):
            shutil.rmtree(folder)

    def kill(self) -> None:
        assert self._process is not None
        for pid in (self._process.pid, self._server):
            os.kill(pid, signal.SIGKILL)
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def hang(self) -> None:
        os.kill(self._server, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._server, signal.SIGCONT)

    def tell(self) -> None:
        """To end, both of them, as the stop of a service does."""
        assert self._process is not None
        for pid in (self._process.pid, self._server):
            os.kill(pid, signal.SIGTERM)

    def wait(self) -> None:
        """Return when both have ended."""
        assert self._process is not None
        assert self._process.wait(STOP_S) == 0
        deadline = time.monotonic() + START_TIMEOUT_S
        while os.path.exists(f"/proc/{self._server}"):
            assert time.monotonic() < deadline, "the server outlives its keeper"
            time.sleep(0.01)
