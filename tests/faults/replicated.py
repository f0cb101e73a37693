"""A replicated Redis: a primary, a replica, and a Sentinel."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from shared.process.embedded import server_binary
from tests.servers import free_port

START_S = 15.0
SERVICE = "palaver-primary"


@contextlib.contextmanager
def server(command: list[str], log: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A server process that is ended in any case."""
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def until_answers(client: "Redis", command: str, *arguments: str) -> object:
    """What a server says, once it says something."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            return client.execute_command(command, *arguments)  # type: ignore[no-untyped-call]
        except RedisError:
            assert time.monotonic() < deadline, "a server does not start"
            time.sleep(0.02)


class ReplicatedServer:
    """A primary, its replica, and a Sentinel that watches them.

    Args:
        options: of the primary.
    """

    def __init__(self, folder: Path, stack: contextlib.ExitStack, *options: str) -> None:
        self._folder = folder
        self._stack = stack
        self.ports = [free_port(), free_port()]
        self.primary = self._start_data_server(0, *options)
        self.replica = self._start_data_server(1, "--replicaof", "127.0.0.1", str(self.ports[0]))
        self.sentinel_port = free_port()
        self._start_sentinel()

    @property
    def url(self) -> str:
        return f"sentinel://127.0.0.1:{self.sentinel_port}/{SERVICE}"

    def _start_data_server(self, number: int, *options: str) -> "subprocess.Popen[bytes]":
        folder = self._folder / str(number)
        folder.mkdir(exist_ok=True)
        command = [str(server_binary()), "--port", str(self.ports[number]), "--dir", str(folder)]
        command += ["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]
        command += ["--repl-diskless-sync-delay", "0", *options]
        process = self._stack.enter_context(server(command, folder / "log"))
        with Redis(port=self.ports[number]) as client:
            until_answers(client, "PING")
        return process

    def _start_sentinel(self) -> None:
        config = self._folder / "sentinel.conf"
        config.write_text(
            f"port {self.sentinel_port}\nbind 127.0.0.1\ndir {self._folder}\n"
            f"sentinel monitor {SERVICE} 127.0.0.1 {self.ports[0]} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 500\n"
            f"sentinel failover-timeout {SERVICE} 3000\n"
        )
        command = [str(server_binary()), str(config), "--sentinel"]
        self._stack.enter_context(server(command, self._folder / "sentinel.log"))
        with Redis(port=self.sentinel_port, decode_responses=True) as client:
            deadline = time.monotonic() + START_S
            while not until_answers(client, "SENTINEL", "REPLICAS", SERVICE):
                assert time.monotonic() < deadline, "the Sentinel does not find the replica"
                time.sleep(0.05)

    @property
    def primary_url(self) -> str:
        """Of the first primary alone."""
        return f"redis://127.0.0.1:{self.ports[0]}"

    def hold_replica(self) -> None:
        """The replica takes nothing over any more, as one behind a slow link."""
        self.replica.send_signal(signal.SIGSTOP)

    def cut_replica_off(self) -> None:
        """As `hold_replica`; what the primary writes now never reaches it."""
        self.hold_replica()
        with Redis(port=self.ports[0]) as primary:
            primary.execute_command("CLIENT", "KILL", "TYPE", "replica")

    def let_replica_go(self) -> None:
        """It goes on."""
        self.replica.send_signal(signal.SIGCONT)

    def bring_back(self) -> None:
        """The first primary starts again, as a replica of the other one."""
        self._start_data_server(0, "--replicaof", "127.0.0.1", str(self.ports[1]))

    def until_copied(self) -> None:
        """Return when the replica has everything that the primary had."""
        with Redis(port=self.ports[0]) as primary:
            # WAIT is for what this very connection has written. Before there is a replica, a server
            # that must have one refuses to write.
            until_answers(primary, "SET", "written last", "1")
            assert primary.execute_command("WAIT", 1, int(START_S * 1000)) == 1
