"""`/readyz` and the intake say the same of what Redis would take."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from shared.errors import NoWorker
from shared.store.connection import connect
from shared.store.workers import WORKER_SILENCE_S
from tests.integration.bench import POOL, Bench
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, free_port, make_settings, running_stack, running_valkey

OPTIONS = ("--save", "3600 1000000", "--enable-protected-configs", "yes")


async def fill_disk(valkey: Valkey, redis: Any) -> None:
    """As a server sees it whose snapshots cannot be written."""
    gone = valkey.folder / "gone"
    gone.mkdir()
    await redis.config_set("dir", str(gone))
    shutil.rmtree(gone)
    await redis.bgsave()
    async with asyncio.timeout(10):
        while (await redis.info("persistence"))["rdb_last_bgsave_status"] != "err":
            await asyncio.sleep(0.02)


async def free_disk(valkey: Valkey, redis: Any) -> None:
    await redis.config_set("dir", str(valkey.folder))
    await redis.bgsave()


async def fill_memory(_: Valkey, redis: Any) -> None:
    await redis.config_set("maxmemory", 1)


async def free_memory(_: Valkey, redis: Any) -> None:
    await redis.config_set("maxmemory", 0)


async def become_replica(_: Valkey, redis: Any) -> None:
    await redis.config_set("replica-serve-stale-data", "yes")
    await redis.replicaof("127.0.0.1", str(free_port()))


async def become_primary(_: Valkey, redis: Any) -> None:
    await redis.replicaof("NO", "ONE")


async def lose_replicas(_: Valkey, redis: Any) -> None:
    await redis.config_set("min-replicas-to-write", 1)


async def need_no_replicas(_: Valkey, redis: Any) -> None:
    await redis.config_set("min-replicas-to-write", 0)


Change = Callable[[Valkey, Any], Awaitable[None]]


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Valkey, Any, Stack]]:
    with running_valkey(*OPTIONS) as valkey:
        settings = make_settings(valkey.url)
        async with connect(settings) as redis, running_stack(settings, ScriptedEngine()) as stack:
            yield valkey, redis, stack


async def until(client: httpx.AsyncClient, status: int) -> httpx.Response:
    """`/readyz` once it answers so."""
    async with asyncio.timeout(10):
        while (ready := await client.get("/readyz")).status_code != status:
            await asyncio.sleep(0.02)
        return ready


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoil", "mend", "missing", "code"),
    [
        (fill_disk, free_disk, "disk", "memory_short"),
        (fill_memory, free_memory, "memory", "memory_short"),
        (become_replica, become_primary, "primary", "redis_away"),
        (lose_replicas, need_no_replicas, "replicas", "redis_away"),
    ],
)
async def test_ready_is_who_takes_prompts(
    spoil: Change, mend: Change, missing: str, code: str
) -> None:
    async with running() as (valkey, redis, stack):
        await stack.ask("Before.")
        await spoil(valkey, redis)
        ready = await until(stack.client, 503)
        refused = await stack.client.post("/", json={"prompt": "Meanwhile."})
        await mend(valkey, redis)
        await until(stack.client, 200)
        await stack.ask("Afterwards.")
    assert ready.json()["missing"] == missing
    assert (refused.status_code, refused.json()["code"]) == (503, code)
    assert refused.json()["detail"] == ready.json()["detail"]


async def test_looking_leaves_nothing_behind() -> None:
    async with running() as (_, redis, stack):
        before = await redis.info("persistence")
        async with asyncio.timeout(10):
            while await looks(redis) < 2:
                await asyncio.sleep(0.02)
        assert not [key async for key in redis.scan_iter("*:probe")]
        assert (await stack.client.get("/readyz")).status_code == 200
    assert before["aof_enabled"] == 1


async def looks(redis: Any) -> int:
    """How often it was tried whether Redis takes a write."""
    stats = await redis.info("commandstats")
    return int(stats.get("cmdstat_setrange", {}).get("calls", 0))


async def test_when_the_last_worker_of_a_model_has_left_its_prompts_are_refused(
    bench: Bench,
) -> None:
    """At once: only of one that died it is not known for a minute."""
    await bench.serve("w2")
    await bench.workers.leave("w2", POOL)
    await bench.submit()
    await bench.workers.leave("w1", POOL)
    with pytest.raises(NoWorker):
        await bench.submit()
    silence_s = await bench.workers.silence_s()
    assert silence_s is not None
    assert silence_s > WORKER_SILENCE_S
