"""Signs of life: leases are renewed only while the engine makes progress."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import Final, NoReturn

from redis.exceptions import RedisError

from shared.errors import EX_SOFTWARE
from shared.store.claims import Claims
from shared.store.connection import trouble
from shared.store.workers import Workers
from shared.wire.other_worker import OtherWorker
from shared.wire.worker_report import EngineReport, PlacementReport, WorkerReport
from shared.wire.write_outcome import WriteOutcome
from worker.engine.interface import Engine
from worker.engine.stats import EngineStats
from worker.held import GivenUp, Held, Holdings
from worker.turn_metrics import TurnMetrics

log = logging.getLogger(__name__)

_MISSED_BEATS: Final = 3
"""A worker is forgotten after this many."""


def exit_stuck() -> NoReturn:
    """End the process at once, native threads included; the supervisor starts a new one."""
    os._exit(EX_SOFTWARE)


class Heartbeat:
    """Beats for every held turn and for the worker itself.

    Args:
        interval_s: between two beats.
        context_length: what `PALAVER_CONTEXT_LENGTH` says.
        window: tokens of prompt and reply together.
        stuck: called when the engine's step takes far too long.
    """

    def __init__(
        self,
        turns: Claims,
        workers: Workers,
        engine: Engine,
        holdings: Holdings,
        metrics: TurnMetrics,
        *,
        worker_id: str,
        interval_s: float,
        context_length: int,
        window: int,
        stuck: Callable[[], None] = exit_stuck,
    ) -> None:
        self._turns = turns
        self._workers = workers
        self._engine = engine
        self._holdings = holdings
        self._metrics = metrics
        self._worker_id = worker_id
        self._interval_s = interval_s
        self._context_length = context_length
        self._window = window
        self._stuck = stuck

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            if self._engine.stuck_for() > 0:
                log.critical("the engine is stuck in a step; this process gives up")
                self._stuck()
            # Each by itself: while memory is short, leases can be renewed and nothing else written.
            signs = [self._beat(held) for held in list(self._holdings.values())]
            if all([await self._tried(sign) for sign in (*signs, self.announce())]):
                trouble.over("heartbeat")
            await asyncio.sleep(self._interval_s)

    async def _tried(self, sign: Awaitable[None]) -> bool:
        try:
            await sign
        except (RedisError, OSError) as error:
            trouble.met(error, "heartbeat")
            return False
        return True

    async def register(self) -> OtherWorker | None:
        """Tell for the first time; returns who has another model or window, if somebody does."""
        return await self._workers.register(self._worker_id, self._report(), self._ttl_s)

    async def announce(self) -> None:
        """Tell everybody that this worker is there, and what it runs."""
        await self._workers.announce(self._worker_id, self._report(), self._ttl_s)

    @property
    def _ttl_s(self) -> float:
        return self._interval_s * _MISSED_BEATS

    def _report(self) -> WorkerReport:
        engine = self._engine
        return WorkerReport(
            model_name=engine.model.name,
            fingerprint=engine.model.fingerprint,
            slots=engine.slots,
            running=len(self._holdings),
            engine=engine_report(engine.stats()),
            turns=self._metrics.report(),
            context_length=self._context_length,
            window=self._window,
        )

    async def _beat(self, held: Held) -> None:
        progress = self._engine.progress
        if held.generating and progress == held.progress_seen:
            return
        held.progress_seen = progress
        if await self._turns.beat(held.claim, self._worker_id) is WriteOutcome.FENCED:
            held.give_up(GivenUp.FENCED)


def engine_report(stats: EngineStats) -> EngineReport:
    """An engine's figures under the names that are stored."""
    placement = stats.placement
    return EngineReport(
        steps=stats.steps,
        running=stats.running,
        waiting=stats.waiting,
        evaluated=stats.evaluated,
        cached=stats.cached,
        generated=stats.generated,
        lane_tokens=stats.lane_tokens,
        lane_capacity=stats.lane_capacity,
        parked=stats.parked,
        parked_bytes=stats.parked_bytes,
        preemptions=stats.preemptions,
        step_ms=stats.step_ms,
        batch_fill=stats.batch_fill,
        host_share=stats.host_share,
        placement=PlacementReport(
            device=placement.device,
            total_bytes=placement.total_bytes,
            free_bytes=placement.free_bytes,
            layers=placement.layers,
            offloaded=placement.offloaded,
            flash_attention=placement.flash_attention,
        ),
    )
