"""Redis behind TLS, and behind Sentinels that choose another primary."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis

from shared.errors import ConfigError
from tests.faults.replicated import ReplicatedServer, server, until_answers
from tests.faults.tls import make_certificate
from tests.scripted import ScriptedEngine
from tests.servers import Stack, free_port, make_settings, running_stack, running_worker

PASSWORD = "not a secret"


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


@asynccontextmanager
async def running_behind_sentinel(folder: Path) -> AsyncIterator[tuple[ReplicatedServer, Stack]]:
    with contextlib.ExitStack() as processes:
        replicas = await asyncio.to_thread(ReplicatedServer, folder, processes)
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
