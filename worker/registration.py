"""This worker's entry among the workers, which tells the others what it runs and that it lives."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from shared.store.server_clock import ServerClock
from shared.store.workers import Workers
from shared.wire.announced import Announced, Keeper
from shared.wire.other_worker import OtherWorker
from shared.wire.worker_report import WorkerReport
from worker.homes import Homes
from worker.report import Reporter

_MISSED_BEATS: Final = 3
"""An entry expires when this many heartbeats are missing."""
_WHOLE_REPORT_EVERY: Final = 6
"""Heartbeats of a worker whose report does not change."""
_LONG_ROW: Final = 500
"""A row of so many workers hears of each idle one half as often; of twice as many, a third."""
_MOST_RESTS: Final = 2
"""Heartbeats that an idle worker leaves out at most."""
_MOST_COLD: Final = 100
"""Dropped conversations of one report: a script is to be short. The others come with the next."""


class Registration:
    """Registers this worker, keeps its entry alive and removes it.

    Args:
        clock: the server's; reports are answered with its time.
        homes: what the engine has dropped.
        interval_s: between two heartbeats.
        on_drain: called when somebody wants this worker to drain.
        on_keeper: called with who keeps the queue.
    """

    def __init__(
        self,
        workers: Workers,
        clock: ServerClock,
        reporter: Reporter,
        homes: Homes,
        worker_id: str,
        *,
        interval_s: float,
        on_drain: Callable[[], None],
        on_keeper: Callable[[Keeper], None],
    ) -> None:
        self.worker_id = worker_id
        self._homes = homes
        self._workers = workers
        self._clock = clock
        self._reporter = reporter
        self._ttl_s = interval_s * _MISSED_BEATS
        self._on_drain = on_drain
        self._on_keeper = on_keeper
        self._is_draining = False
        self._stored: WorkerReport | None = None
        self._beats = 0
        self._row = 1
        """How many workers there are, this one among them."""
        self._rests = 0
        """Heartbeats that may be left out from now on, if nothing changes."""

    async def register(self) -> OtherWorker | None:
        """Make the entry; if a living worker has another model or window, return that instead."""
        return await self._workers.register(self.worker_id, self._report(), self._ttl_s)

    async def renew(self) -> None:
        """Report the current state; the entry lives on for a few heartbeats.

        What could not be reported is reported with the next heartbeat. In a long row an idle worker
        rests for some: that one of many is gone need not be known soon, as nothing waits for it.
        """
        report, cold = self._report(), self._homes.cold(_MOST_COLD)
        is_cold = bool(cold.conversations or cold.prefixes)
        if self._rests and report == self._stored and not is_cold:
            self._rests -= 1
            return
        sent_s = self._clock.steady_s()
        answer = await self._announce(report)
        if answer.is_draining:
            self._on_drain()
        self._on_keeper(answer.keeper)
        self._row = answer.keeper.workers
        await self._clock.compare(sent_s, answer.server_ms, answer.steps)
        if is_cold:
            await self._workers.cool(self.worker_id, report.pool, cold)
            self._homes.reported(cold)

    async def _announce(self, report: WorkerReport) -> Announced:
        """Report what has changed: a thousand workers without turns should cost the server little.

        Now and then everything: a server that failed over may have an older report.
        """
        rests = 0 if report.running else min(_MOST_RESTS, self._row // _LONG_ROW)
        ttl_s = self._ttl_s * (1 + rests)
        self._rests = 0
        if report == self._stored and self._beats % _WHOLE_REPORT_EVERY:
            self._beats += 1
            answer = await self._workers.announce_unchanged(self.worker_id, report, ttl_s)
            if answer is not None:
                self._rests = rests
                return answer
        answer = await self._workers.announce(self.worker_id, report, ttl_s)
        self._stored, self._beats, self._rests = report, 1, rests
        return answer

    async def drain(self) -> None:
        """Take no more turns; those that wait for this worker may start elsewhere."""
        self._is_draining = True
        await self._workers.drain(self.worker_id, self._report().pool, self._ttl_s)

    async def leave(self) -> None:
        """Remove the entry."""
        await self._workers.leave(self.worker_id, self._report().pool)

    def _report(self) -> WorkerReport:
        return replace(self._reporter.report(), is_draining=self._is_draining)
