"""Fixtures for the scripts."""

import pytest
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.keys import Keys
from tests.integration.bench import Bench


@pytest.fixture
async def bench(redis: Redis, keys: Keys, settings: Settings) -> Bench:
    bench = Bench(redis, keys, settings)
    await bench.claims.ensure_group()
    await bench.redis.zadd(keys.workers, {"w1": 1 << 50})
    return bench
