"""Redis behind TLS, and behind Sentinels that choose another primary."""

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import RedisError

from shared.errors import ConfigError
from shared.process.embedded import server_binary
from tests.faults.tls import make_certificate
from tests.scripted import ScriptedEngine
from tests.servers import Stack, free_port, make_settings, running_stack, running_worker

START_S = 15.0
SERVICE = "palaver-primary"
PASSWORD = "not a secret"


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


# TLS.


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A self-signed certificate for localhost, with its key beside it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed: no certificate")
    return make_certificate(tmp_path).path


@pytest.fixture
def tls_port(certificate: Path, tmp_path: Path) -> Iterator[int]:
    """A server that speaks TLS only and wants a password; the embedded one has no TLS."""
    binary = shutil.which("redis-server")
    if binary is None:
        pytest.skip("redis-server is not installed: nothing that speaks TLS")
    port = free_port()
    command = [binary, "--port", "0", "--tls-port", str(port), "--requirepass", PASSWORD]
    command += ["--tls-cert-file", str(certificate), "--tls-ca-cert-file", str(certificate)]
    command += ["--tls-key-file", str(certificate.parent / "key.pem"), "--tls-auth-clients", "no"]
    command += ["--dir", str(tmp_path), "--appendonly", "yes", "--save", ""]
    with server(command, tmp_path / "log"):
        options = {"ssl_ca_certs": str(certificate), "password": PASSWORD}
        with Redis(host="localhost", port=port, ssl=True, **options) as client:  # type: ignore[arg-type]  # redis-py's overloads know no mapping
            until_answers(client, "PING")
        yield port


async def test_everything_works_over_tls(tls_port: int, certificate: Path) -> None:
    password = PASSWORD.replace(" ", "%20")
    url = f"rediss://:{password}@localhost:{tls_port}/0?ssl_ca_certs={certificate}"
    async with running_stack(make_settings(url), ScriptedEngine()) as stack:
        first = await stack.ask("Over TLS.")
        second = await stack.ask("Again.", id=first["id"])
    assert first["reply"] == "You said: Over TLS."
    assert second["window"]["turns_kept"] == 2


async def test_a_wrong_password_ends_the_start(tls_port: int, certificate: Path) -> None:
    settings = make_settings(f"rediss://:wrong@localhost:{tls_port}/0?ssl_ca_certs={certificate}")
    with pytest.raises(ConfigError, match="refuses the credentials"):
        async with running_worker(settings, ScriptedEngine()) as worker:
            await worker


# Sentinel.


class Replicas:
    """A primary, its replica, and a Sentinel that watches them."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self.ports = [free_port(), free_port()]
        self.primary = self._start_data_server(0)
        self._start_data_server(1, "--replicaof", "127.0.0.1", str(self.ports[0]))
        self.sentinel_port = free_port()
        self._start_sentinel()

    @property
    def url(self) -> str:
        return f"sentinel://127.0.0.1:{self.sentinel_port}/{SERVICE}"

    def _start_data_server(self, number: int, *options: str) -> "subprocess.Popen[bytes]":
        folder = self._folder / str(number)
        folder.mkdir()
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

    def until_copied(self) -> None:
        """Return when the replica has everything that the primary had."""
        with Redis(port=self.ports[0]) as primary:
            # WAIT is for what this very connection has written.
            primary.set("written last", 1)
            assert primary.execute_command("WAIT", 1, int(START_S * 1000)) == 1


@asynccontextmanager
async def running_behind_sentinel(folder: Path) -> AsyncIterator[tuple[Replicas, Stack]]:
    with contextlib.ExitStack() as processes:
        replicas = await asyncio.to_thread(Replicas, folder, processes)
        settings = make_settings(replicas.url, PALAVER_LEASE=2)
        async with running_stack(settings, ScriptedEngine()) as stack:
            yield replicas, stack


async def test_after_a_failover_conversations_go_on_at_the_new_primary(tmp_path: Path) -> None:
    async with running_behind_sentinel(tmp_path) as (replicas, stack):
        first = await stack.ask("Before.")
        await asyncio.to_thread(replicas.until_copied)
        replicas.primary.kill()
        async with asyncio.timeout(60):
            while True:
                body = {"prompt": "After.", "id": first["id"]}
                headers = {"Idempotency-Key": "after-the-failover"}
                answer = await stack.client.post("/", json=body, headers=headers)
                if answer.status_code == 200:
                    break
                assert answer.status_code == 503, answer.text
                await asyncio.sleep(0.1)
    assert answer.json()["window"]["turns_kept"] == 2
