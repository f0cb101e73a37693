"""Keeping the queue: what one worker at a time does for all of them.

Ends holds, takes turns over from workers that are gone, repairs what was lost.
"""

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import replace
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import DeadlineExceeded, WorkerLost
from shared.store.claims import Claims, Kept
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.store.old_queue import OldQueue
from shared.wire.announced import Keeper
from worker.turn_metrics import TurnMetrics

log = logging.getLogger(__name__)

_KEEP_S: Final = 1.0
"""Between two looks, unless a hold ends before, or there was more to do than one call does."""
_LEAST_S: Final = 0.01
_SWEEP_S: Final = 5.0
_CONVERT_S: Final = 1.0
_LOOKS_A_SECOND: Final = 20
"""Of all workers together, whether there is a keeper: it is missed soon, however many they are."""
_LOOK_S: Final = (1.0, 60.0)
"""Between two looks of a worker: the shortest and the longest time, before a random half of it."""
_MISSED_BEATS: Final = 2
"""Heartbeats without an answer after which leases may have expired though their holders live."""
_COMPARE_S: Final = 60.0
"""The longest time between two comparisons with the server's clock, which is told with each
heartbeat. Even one that is slewed fast drifts by less than what is taken for a step."""
_RANDOM: Final = random.SystemRandom()
"""Keeps its hands off the shared generator, which others seed."""


class QueueKeeper:
    """Keeps the queue while no other worker does.

    Reclaims nothing for one lease after an outage or a restart of Redis: any lease may have expired
    meanwhile, and its holder gets the time to renew it. That Redis was away shows in calls that
    failed, and in heartbeats that are missing.

    Args:
        lease_s: for how long a turn is a worker's without a sign of life.
        beat_s: between two heartbeats of a worker.
    """

    def __init__(
        self,
        redis: Redis,
        claims: Claims,
        old_queue: OldQueue,
        metrics: TurnMetrics,
        worker_id: str,
        *,
        lease_s: float,
        beat_s: float,
    ) -> None:
        self._redis = redis
        self._claims = claims
        self._old_queue = old_queue
        self._metrics = metrics
        self._worker_id = worker_id
        self._lease_s = lease_s
        self._beat_s = beat_s
        self._is_stopping = False
        self._wanted = asyncio.Event()
        self._quiet_until: float | None = None
        self._in_touch_at: float | None = None
        self._was_away = False
        self._look_s = _LOOK_S[0]
        self._next_sweep = 0.0
        self._next_conversion = 0.0

    async def run(self) -> None:
        """Keep it, or be ready to, until stopped."""
        while not self._is_stopping:
            pause_s = _RANDOM.uniform(self._look_s, 1.5 * self._look_s)
            try:
                self._wanted.clear()
                if await self._may_keep() and (kept := await self._keep()) is not None:
                    pause_s = self._until_more(kept)
                trouble.over("queue")
            except REDIS_UNAVAILABLE as error:
                trouble.met(error, "queue")
                self._was_away = True
            except RedisError as error:
                trouble.met(error, "queue")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wanted.wait(), max(_LEAST_S, pause_s))

    def heard(self, keeper: Keeper) -> None:
        """A heartbeat was answered with who keeps the queue."""
        now = time.monotonic()
        if self._in_touch_at is not None and now - self._in_touch_at > _MISSED_BEATS * self._beat_s:
            self._was_away = True
        self._in_touch_at = now
        if keeper.worker_id is None:
            self._wanted.set()

    def wake(self) -> None:
        """A hold ends sooner than was known."""
        self._wanted.set()

    def stop(self) -> None:
        """Leave it to others; `run` ends soon."""
        self._is_stopping = True
        self._wanted.set()

    async def _may_keep(self) -> bool:
        """Whether no other worker keeps the queue."""
        if self._claims.clock.compared_s >= _COMPARE_S:
            await self._claims.clock.look()
        keeper = await self._claims.keeper()
        self._look_s = _pause_between_looks(keeper.workers, self._beat_s)
        return keeper.worker_id in (None, self._worker_id)

    async def _keep(self) -> Kept | None:
        """Keep the queue once; None if another worker does it."""
        now = time.monotonic()
        is_sweep = now >= self._next_sweep
        if is_sweep:
            await self._claims.clock.look()
        kept = await self._claims.keep(
            self._worker_id, may_reclaim=await self._may_reclaim(), sweep=is_sweep
        )
        if kept is None:
            return None
        if kept.is_swept:
            self._next_sweep = now + _SWEEP_S
        self._metrics.abandoned(DeadlineExceeded.code, kept.late)
        self._metrics.abandoned(WorkerLost.code, kept.lost)
        if kept.lost:
            log.warning("%d turns failed: every worker that tried them was lost", kept.lost)
        if now >= self._next_conversion and await self._convert():
            return replace(kept, next_s=0)
        return kept

    def _until_more(self, kept: Kept) -> float:
        """Seconds until there is more to do: at once if something was left."""
        if time.monotonic() >= self._next_sweep:
            return 0.0
        return _KEEP_S if kept.next_s is None else min(_KEEP_S, kept.next_s)

    async def _convert(self) -> bool:
        """Take along turns of an older version's queue; whether there may be more of them."""
        taken = await self._old_queue.take_along()
        if taken.number:
            log.info("took along %d turns of an older version's queue", taken.number)
        if not taken.has_more:
            self._next_conversion = time.monotonic() + _CONVERT_S
        return taken.has_more

    async def _may_reclaim(self) -> bool:
        """Whether every living worker has had the time to renew its leases."""
        if self._was_away:
            # From now on: before it was back nobody could renew anything.
            self._was_away, self._quiet_until = False, time.monotonic() + self._lease_s
        if self._quiet_until is None:
            info = await self._redis.info("server")
            up_s = float(info["uptime_in_seconds"])
            self._quiet_until = time.monotonic() + max(0.0, self._lease_s - up_s)
        return time.monotonic() >= self._quiet_until


def _pause_between_looks(workers: int, beat_s: float) -> float:
    """Seconds between two looks of one of so many workers; their heartbeats look, too."""
    looks_a_second = _LOOKS_A_SECOND / max(1, workers) - 1 / beat_s
    shortest, longest = _LOOK_S
    return 1 / min(max(1 / longest, looks_a_second), 1 / shortest)
