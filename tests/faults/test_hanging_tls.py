"""A server behind TLS that accepts, answers the handshake or not, and then says nothing more."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from shared.store.connection import REDIS_UNAVAILABLE, connect
from tests.faults.partition import Partition
from tests.faults.tls import make_certificate, running_tls_partition
from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_server, running_valkey, running_worker, until_ready

REPLY_S = 0.3
"""A server that has not answered by then hangs; in place of seconds."""

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


@asynccontextmanager
async def running_partition(folder: Path) -> AsyncIterator[Partition]:
    with running_valkey() as valkey:
        certificate = make_certificate(folder)
        async with running_tls_partition(certificate, valkey.socket) as partition:
            yield partition


async def test_an_api_outlives_a_server_that_hangs(tmp_path: Path) -> None:
    """Longer than connecting, answering and saying farewell may take together."""
    async with running_partition(tmp_path) as partition:
        settings = make_settings(partition.url)
        async with (
            running_server(settings, socket_timeout=REPLY_S, socket_connect_timeout=REPLY_S) as (
                api,
                client,
            ),
            running_worker(settings, ScriptedEngine()),
        ):
            await until_ready(client)
            partition.stall()
            async with asyncio.timeout(30):
                while api.feed.is_connected:
                    await asyncio.sleep(0.05)
            await asyncio.sleep(10 * REPLY_S)
            ready = await client.get("/readyz")
            health = await client.get("/healthz")
            refused = await client.post("/", json={"prompt": "Anybody?"})
            partition.heal()
            await until_ready(client)
            answer = await client.post("/", json={"prompt": "Back?"})
            assert api.background.failure is None
    assert ready.json()["missing"] == "redis"
    assert health.status_code == 200
    assert refused.status_code == 503
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("max_connections", [None, 2])
async def test_to_disconnect_takes_no_answer(tmp_path: Path, max_connections: int | None) -> None:
    async with running_partition(tmp_path) as partition:
        redis: Any = connect(make_settings(partition.url), max_connections=max_connections)
        pubsub = redis.pubsub()
        await pubsub.subscribe("x")
        await redis.ping()
        partition.stall()
        async with asyncio.timeout(1):
            await pubsub.aclose()
            await redis.aclose(close_connection_pool=True)


async def test_a_handshake_that_stalls_is_an_absence(tmp_path: Path) -> None:
    async with running_partition(tmp_path) as partition:
        partition.stall()
        redis: Any = connect(make_settings(partition.url), socket_connect_timeout=REPLY_S)
        for _ in range(2):
            async with asyncio.timeout(5):
                with pytest.raises(REDIS_UNAVAILABLE):
                    await redis.ping()
        partition.heal()
        assert await redis.ping()
        await redis.aclose(close_connection_pool=True)
