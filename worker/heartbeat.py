"""Signs of life: leases are renewed only while the engine makes progress."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

from redis.exceptions import RedisError

from shared.errors import EX_SOFTWARE
from shared.store.claims import Claims
from shared.store.connection import trouble
from shared.wire.write_outcome import WriteOutcome
from worker.engine.interface import ModelHost
from worker.registration import Registration
from worker.running_turn import CancelReason, RunningTurn

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews the leases of the running turns and the worker's registration.

    A turn that is being generated gets no beat while the engine stands still; if a step of the
    engine hangs, the process ends.

    Args:
        interval_s: between two beats.
    """

    def __init__(
        self,
        claims: Claims,
        engine: ModelHost,
        running: Mapping[str, RunningTurn],
        registration: Registration,
        *,
        interval_s: float,
    ) -> None:
        self._claims = claims
        self._engine = engine
        self._running = running
        self._registration = registration
        self._interval_s = interval_s

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            if self._engine.stuck_for() > 0:
                log.critical("the engine hangs in a step; this process ends")
                _exit_at_once()
            # Two calls: while memory is short, Redis renews leases but refuses other writes.
            beats = (self._renew_leases, self._registration.renew)
            if all([await self._succeeds(beat) for beat in beats]):
                trouble.over("heartbeat")
            await asyncio.sleep(self._interval_s)

    async def _succeeds(self, beat: Callable[[], Awaitable[None]]) -> bool:
        try:
            await beat()
        except (RedisError, OSError) as error:
            trouble.met(error, "heartbeat")
            return False
        return True

    async def _renew_leases(self) -> None:
        turns = [turn for turn in self._running.values() if self._makes_progress(turn)]
        if not turns:
            return
        claims = [turn.claim for turn in turns]
        outcomes = await self._claims.beat(claims, self._registration.worker_id)
        for turn, outcome in zip(turns, outcomes, strict=True):
            if outcome is WriteOutcome.FENCED:
                turn.cancel(CancelReason.FENCED)

    def _makes_progress(self, turn: RunningTurn) -> bool:
        """Whether anything has happened for a turn since the last beat."""
        progress = self._engine.progress
        if turn.is_generating and progress == turn.progress_at_beat:
            return False
        turn.progress_at_beat = progress
        return True


def _exit_at_once() -> NoReturn:
    """End the process with its native threads; the supervisor starts a new one."""
    os._exit(EX_SOFTWARE)
