"""Taking over from workers that are gone, and repairing what was lost."""

import asyncio
import contextlib
import logging
import time
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import DeadlineExceeded, WorkerLost
from shared.store.claims import Claims
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from worker.stream_worker import StreamWorker
from worker.turn_metrics import TurnMetrics

log = logging.getLogger(__name__)

_SWEEP_S: Final = 5.0
_LONGEST_PAUSE_S: Final = 2.0


class Recovery:
    """Looks for abandoned turns a few times per lease, and sweeps every few seconds.

    Reclaims nothing for one lease after an outage or a restart of Redis: any lease may have expired
    meanwhile, and its holder gets the time to renew it.
    """

    def __init__(
        self,
        redis: Redis,
        claims: Claims,
        worker: StreamWorker,
        metrics: TurnMetrics,
        *,
        lease_s: float,
    ) -> None:
        self._redis = redis
        self._claims = claims
        self._worker = worker
        self._metrics = metrics
        self._lease_s = lease_s
        self._pause_s = min(_LONGEST_PAUSE_S, lease_s / 8)
        self._stopping = asyncio.Event()
        self._quiet_until = 0.0
        self._next_sweep = 0.0

    async def run(self) -> None:
        """Recover until stopped."""
        while not self._stopping.is_set():
            try:
                await self._round()
                trouble.over("recovery")
            except REDIS_UNAVAILABLE as error:
                trouble.met(error, "recovery")
                self._quiet_until = time.monotonic() + self._lease_s
            except RedisError as error:
                trouble.met(error, "recovery")
                await self._ensure_group()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._pause_s)

    def stop(self) -> None:
        """Take over no more turns; `run` ends soon."""
        self._stopping.set()

    async def _round(self) -> None:
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_S
            self._metrics.abandoned(DeadlineExceeded.code, await self._claims.sweep())
        while not self._stopping.is_set() and await self._may_reclaim():
            claim = await self._worker.take_over(self._count_lost)
            if claim is None:
                return
            log.warning("job %s: its worker is gone; start %d is here", claim.job_id, claim.starts)

    def _count_lost(self) -> None:
        self._metrics.abandoned(WorkerLost.code)
        log.warning("a turn failed: every worker that tried it was lost")

    async def _may_reclaim(self) -> bool:
        if time.monotonic() < self._quiet_until:
            return False
        info = await self._redis.info("server")
        return float(info["uptime_in_seconds"]) >= self._lease_s

    async def _ensure_group(self) -> None:
        try:
            await self._claims.ensure_group()
        except RedisError as error:
            trouble.met(error, "recovery")
