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
    """Looks for abandoned turns a few times a lease, and sweeps every few seconds.

    For one lease after Redis was away or started anew nothing is reclaimed: every lease may have
    run out meanwhile, and their holders are given the time to renew them.
    """

    def __init__(
        self,
        redis: Redis,
        turns: Claims,
        worker: StreamWorker,
        metrics: TurnMetrics,
        *,
        lease_s: float,
    ) -> None:
        self._redis = redis
        self._turns = turns
        self._worker = worker
        self._metrics = metrics
        self._lease_s = lease_s
        self._pause_s = min(_LONGEST_PAUSE_S, lease_s / 8)
        self._stopping = asyncio.Event()
        self._quiet_until = 0.0
        self._next_sweep = 0.0

    async def run(self) -> None:
        """Recover until told to stop."""
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
        """Take nothing over any more; `run` ends soon."""
        self._stopping.set()

    async def _round(self) -> None:
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + _SWEEP_S
            self._metrics.given_up(DeadlineExceeded.code, await self._turns.sweep())
        while not self._stopping.is_set() and await self._may_reclaim():
            claim = await self._worker.take_over(self._lost)
            if claim is None:
                return
            log.warning("job %s: its worker is gone; start %d here", claim.job_id, claim.starts)

    def _lost(self) -> None:
        self._metrics.given_up(WorkerLost.code)
        log.warning("a turn is given up: every worker that tried it was lost")

    async def _may_reclaim(self) -> bool:
        if time.monotonic() < self._quiet_until:
            return False
        info = await self._redis.info("server")
        return float(info["uptime_in_seconds"]) >= self._lease_s

    async def _ensure_group(self) -> None:
        try:
            await self._turns.ensure_group()
        except RedisError as error:
            trouble.met(error, "recovery")
