"""A queue with many owners, workers and turns, made by the scripts themselves."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.store.keys import Keys
from tests.integration.bench import POOL, Bench
from tests.servers import Valkey, make_settings

HOME: Final = "home"
"""The worker that has all turns that run, and for which held ones wait."""
LONG_MS: Final = 600_000
"""Holds and leases that do not end while a queue is measured."""
AT_ONCE: Final = 32
TAKEN_AT_ONCE: Final = 250
UNBOUNDED: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """How many there are.

    Args:
        owners: that wait, each with one turn that any worker may start.
        workers: registered, each with a free slot.
        running: turns that workers have.
        held: turns that only their home may start.
    """

    owners: int = 10
    workers: int = 10
    running: int = 10
    held: int = 10


def crowd_settings(server: Valkey, **variables: Any) -> Settings:
    """Settings whose limits no crowd reaches."""
    limits = {"PALAVER_QUEUE_LIMIT": UNBOUNDED, "PALAVER_LEASE": LONG_MS // 1000}
    return make_settings(server.url, **limits, **variables)


async def gather(crowd: Crowd, redis: Redis, settings: Settings) -> Bench:
    """Fill an empty server."""
    bench = Bench(redis, Keys(settings.namespace), settings)
    await bench.serve(HOME, *(f"w{number}" for number in range(crowd.workers)))
    await bench.redis.zrem(bench.keys.free(POOL), HOME)
    await bench.redis.hset(bench.keys.worker(HOME), "patience_ms", LONG_MS)
    await repeat(crowd.running, lambda number: bench.submit(owner=f"running{number}"))
    for first in range(0, crowd.running, TAKEN_AT_ONCE):
        await bench.take(HOME, min(TAKEN_AT_ONCE, crowd.running - first))
    await repeat(crowd.held, lambda number: hold(bench, number))
    await repeat(crowd.owners, lambda number: bench.submit(owner=f"owner{number:05}"))
    return bench


async def hold(bench: Bench, number: int) -> None:
    """A turn that waits for the home of its conversation."""
    conversation = str(10**15 + number)
    fields = {"owner": f"held{number}", "context": "", "home": HOME, "saves_ms": LONG_MS}
    numbers = dict.fromkeys(("first", "next", "begun", "offset"), 1)
    state: dict[str, Any] = {**fields, **numbers, "turns": 0, "tokens": 0, "created": 1}
    await bench.redis.hset(bench.keys.conversation(conversation), mapping=state)
    await bench.submit(conversation, owner=f"held{number}")


async def repeat(times: int, call: Callable[[int], Awaitable[Any]]) -> None:
    """Call so many times, some calls at once."""
    numbers = itertools.count()

    async def lane() -> None:
        while (number := next(numbers)) < times:
            await call(number)

    await asyncio.gather(*(lane() for _ in range(min(AT_ONCE, times))))
