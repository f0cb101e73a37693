"""What keeps a process from starting, and says why."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from shared.errors import EX_CONFIG
from shared.store.data_format import READABLE_FORMATS
from shared.store.keys import Keys
from tests.faults.cluster import NAMESPACE, Cluster, Process, running_cluster
from tests.faults.helpers import assert_completed, ended, holder, post_job
from tests.faults.partition import running_partition
from tests.servers import Valkey, free_port, running_valkey

MODULES = ["api.server", "tests.faults.worker"]
KEYS = Keys(NAMESPACE)


@asynccontextmanager
async def process(valkey: Valkey, module: str, **variables: str) -> AsyncIterator[Process]:
    """One process, not started yet."""
    variables = {"PALAVER_NAMESPACE": NAMESPACE, "PORT": str(free_port()), **variables}
    async with running_partition(valkey.folder / "p.sock", valkey.socket) as partition:
        environ = variables | {"REDIS_URL": partition.url}
        one = Process(module, partition, environ, Path(valkey.folder / "log"))
        yield one
        one.kill()


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize(
    ("policy", "variables"),
    [("allkeys-lru", {}), ("volatile-ttl", {"PALAVER_CONVERSATION_TTL": "3600"})],
)
async def test_a_server_that_would_drop_conversations_is_refused(
    module: str, policy: str, variables: dict[str, str]
) -> None:
    with running_valkey("--maxmemory-policy", policy) as valkey:
        async with process(valkey, module, **variables) as one:
            one.start()
            assert await one.ended() == EX_CONFIG
            assert f"maxmemory-policy {policy}" in one.output
            assert "noeviction" in one.output


@pytest.mark.parametrize("module", MODULES)
async def test_data_of_another_format_are_refused(module: str) -> None:
    with running_valkey() as valkey:
        async with process(valkey, module) as one:
            with Redis.from_url(valkey.url) as redis:
                redis.set(KEYS.schema, "999")
            one.start()
            assert await one.ended() == EX_CONFIG
            assert "format 999" in one.output
            assert f"reads {' and '.join(READABLE_FORMATS)}" in one.output


async def test_without_an_append_only_file_there_is_a_warning() -> None:
    async with running_cluster(workers=1, valkey_options=("--appendonly", "no")) as cluster:
        for one in (*cluster.apis, *cluster.workers):
            assert "no append-only file" in one.output


async def test_another_model_on_the_same_queue_is_refused_while_one_lives() -> None:
    async with running_cluster(workers=2, lease_s=1) as cluster, cluster.client() as client:
        first, second = cluster.workers
        assert await second.stop() == 0
        second.start(FAULTS_MODEL="another")
        assert await second.ended() == EX_CONFIG
        assert "runs another model (scripted)" in second.output
        assert_completed(await ended(client, (await post_job(client, "Still there?"))["job"]),
                         "Still there?")  # fmt: skip
        await change_model(cluster, first, second)


async def test_another_window_on_the_same_queue_is_refused_while_a_worker_lives() -> None:
    async with running_cluster(workers=2, lease_s=1) as cluster, cluster.client() as client:
        [api], (first, second) = cluster.apis, cluster.workers
        assert await second.stop() == 0
        second.start(PALAVER_CONTEXT_LENGTH="5000")
        assert await second.ended() == EX_CONFIG
        assert "has PALAVER_CONTEXT_LENGTH=100000, this process has 5000" in second.output
        assert_completed(await ended(client, (await post_job(client, "Still there?"))["job"]),
                         "Still there?")  # fmt: skip

        assert await api.stop() == 0
        api.start(PALAVER_CONTEXT_LENGTH="5000")
        assert await api.ended() == EX_CONFIG
        assert "has PALAVER_CONTEXT_LENGTH=100000, this process has 5000" in api.output

        # Of a worker that was killed nothing is heard any more: then it may be changed.
        first.kill()
        second.start(PALAVER_CONTEXT_LENGTH="5000")
        async with asyncio.timeout(20), cluster.redis() as redis:
            while "5000" not in await windows(redis):
                await asyncio.sleep(0.05)
                assert second.is_running, second.output
        api.start(PALAVER_CONTEXT_LENGTH="5000")
        await cluster.ready(workers=1)


async def windows(redis: Any) -> list[str | None]:
    """The window of each model that is or was served."""
    pools = await redis.zrange(KEYS.pools, 0, -1)
    return [await redis.hget(KEYS.pool(pool), "window") for pool in pools]


async def test_an_api_that_is_told_of_no_window_takes_the_workers() -> None:
    """Workers may be elsewhere, and their settings with them."""
    async with running_cluster(workers=1) as cluster:
        [api] = cluster.apis
        assert await api.stop() == 0
        api.start(PALAVER_CONTEXT_LENGTH="")
        await cluster.ready()


async def change_model(cluster: Cluster, old: Process, new: Process) -> None:
    """Of a worker that was killed nothing is heard any more: soon another model may begin."""
    old.kill()
    new.start(FAULTS_MODEL="another")
    async with asyncio.timeout(20), cluster.redis() as redis:
        alive: list[int] = []
        while alive != [new.pid]:
            await asyncio.sleep(0.05)
            names = await redis.zrange(KEYS.workers, 0, -1)
            alive = [
                int(name.split(":")[1]) for name in names if await redis.exists(KEYS.worker(name))
            ]
            assert new.is_running, new.output


async def test_a_turn_begun_by_one_model_is_gone_on_with_by_another() -> None:
    """Token ids of the first say nothing to the second: it goes on behind the text."""
    async with (
        running_cluster(workers=1, lease_s=1, piece_s=0.05) as cluster,
        cluster.client() as client,
    ):
        job = (await post_job(client, "Two models."))["job"]
        [worker] = cluster.workers
        await holder(cluster, job, at_least=8)
        assert await worker.stop() == 0
        worker.start(FAULTS_MODEL="shifted")
        state = await ended(client, job)
    assert_completed(state, "Two models.")
