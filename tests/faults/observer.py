"""Looks at the queue during a storm, all the time: whether it adds up, and what it was like."""

import asyncio
import contextlib
import logging
import time
from itertools import cycle
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.store.keys import Keys
from tests.counts import wrong_counts
from tests.faults.cluster import Cluster
from tests.faults.ledger import Ledger

log = logging.getLogger(__name__)

_LOOK_S: Final = 0.2
_WORD_S: Final = 60.0
_LOOK_WITHIN_S: Final = 5.0


class Observer:
    """Notes in the ledger what it sees."""

    def __init__(self, cluster: Cluster, ledger: Ledger) -> None:
        self._cluster = cluster
        self._ledger = ledger
        self._next_word = 0.0

    async def watch(self) -> None:
        """Until cancelled; while Redis is away there is nothing to see."""
        for cell in cycle(self._cluster.cells.all):
            self._tell()
            with contextlib.suppress(RedisError, OSError, TimeoutError):
                async with asyncio.timeout(_LOOK_WITHIN_S), self._cluster.redis(cell) as redis:
                    await self._look(redis, self._cluster.keys_of(cell))
            await asyncio.sleep(_LOOK_S)

    def _tell(self) -> None:
        """Once a minute how far it is, for whoever waits for the end of it."""
        if time.monotonic() < self._next_word:
            return
        self._next_word = time.monotonic() + _WORD_S
        prompts, faults = len(self._ledger.turns), sum(self._ledger.faults.values())
        wrong = len(self._ledger.wrong_counts)
        log.info("%d prompts, %d faults, %d wrong counts", prompts, faults, wrong)

    async def _look(self, redis: Any, keys: Keys) -> None:
        self._ledger.wrong_counts += await wrong_counts(redis, keys)
        self._ledger.saw("looks at the queue")
        pools = await redis.zrange(keys.pools, 0, -1)
        if await self._number(redis, [keys.line(pool) for pool in pools]):
            self._ledger.saw("with turns that wait")
        if await self._number(redis, [keys.hold(pool) for pool in pools]):
            self._ledger.saw("with turns that are held for their homes")

    async def _number(self, redis: Redis, names: list[str]) -> int:
        return sum([await redis.zcard(name) for name in names])
