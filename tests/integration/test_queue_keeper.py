"""The keeper does at once what is too much for one call, instead of a part of it each second."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.keys import Keys
from shared.wire.announced import Keeper
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench
from tests.integration.test_conversion import OldVersion
from tests.servers import Valkey, make_settings
from worker.queue_keeper import QueueKeeper
from worker.turn_metrics import TurnMetrics

LOST, OLD = 240, 700
"""At one call a second more than ten seconds' work."""
PATIENCE_S = 8.0


@pytest.fixture
def settings(valkey: Valkey) -> Settings:
    return make_settings(
        valkey.url, PALAVER_LEASE=0.5, PALAVER_HEARTBEAT=0.1, PALAVER_QUEUE_LIMIT=OLD
    )


@pytest.fixture
async def bench(redis: Redis, keys: Keys, settings: Settings) -> Bench:
    bench = Bench(redis, keys, settings)
    await bench.serve()
    return bench


@asynccontextmanager
async def keeping(bench: Bench, beat_s: float = 0.1) -> AsyncIterator[QueueKeeper]:
    keeper = QueueKeeper(
        bench.redis,
        bench.claims,
        bench.old_queue,
        TurnMetrics(),
        "w9",
        lease_s=bench.settings.lease,
        beat_s=beat_s,
    )
    task = asyncio.create_task(keeper.run())
    yield keeper
    keeper.stop()
    await task


async def until(is_done: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not await is_done():
            await asyncio.sleep(0.02)


async def test_all_turns_of_many_lost_workers_wait_again_soon(bench: Bench) -> None:
    for _ in range(LOST):
        await bench.submit()
    for claim in await bench.take("w1", LOST):
        await bench.crash(claim)

    async def all_wait() -> bool:
        return int(await bench.redis.zcard(bench.keys.leases)) == 0

    async with keeping(bench):
        await until(all_wait)
    assert len(await bench.take("w2", LOST)) == LOST


async def test_a_long_old_queue_is_taken_along_soon(bench: Bench) -> None:
    old = OldVersion(bench)
    await old.claims.ensure_group()
    for _ in range(OLD):
        await old.submit()

    async def all_stand_in_line() -> bool:
        return sum(map(int, await bench.redis.hvals(bench.keys.waits))) == OLD

    async with keeping(bench):
        await until(all_stand_in_line)


async def test_a_heartbeat_that_hears_of_no_keeper_makes_its_worker_look(bench: Bench) -> None:
    """Where workers are many, their heartbeats are often enough, and they hardly look besides."""
    await bench.redis.set(bench.keys.keeper, "w1")

    async with keeping(bench, beat_s=0.01) as keeper:
        keeper.heard(Keeper(worker_id="w1", workers=2))
        await bench.redis.delete(bench.keys.keeper)
        keeper.heard(Keeper(worker_id=None, workers=2))
        await until(lambda: is_kept_by(bench, "w9"))


async def test_after_missing_heartbeats_nothing_is_reclaimed_for_a_lease(bench: Bench) -> None:
    """Redis was away, and no call of the keeper failed: where workers are many it makes few."""
    others = Keeper(worker_id="w1", workers=2)
    await bench.submit()
    [claim] = await bench.take("w1", 1)
    await bench.redis.set(bench.keys.keeper, "w1")
    async with keeping(bench, beat_s=0.01) as keeper:
        keeper.heard(others)
        await asyncio.sleep(0.05)  # what is missing is what is looked at
        await bench.crash(claim)
        await bench.redis.delete(bench.keys.keeper)
        keeper.heard(Keeper(worker_id=None, workers=2))
        await until(lambda: is_kept_by(bench, "w9"))
        assert await bench.claims.beat([claim], "w1") == [WriteOutcome.OK]
        assert await bench.redis.hget(bench.keys.job(claim.job_id), "crashes") == "0"


async def is_kept_by(bench: Bench, worker: str) -> bool:
    return bool(await bench.redis.get(bench.keys.keeper) == worker)
