"""Samples all workers every few seconds, and keeps the last minutes."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any, Final

from redis.exceptions import RedisError

from api.ops.figures import point
from api.ops.samples import Sample
from api.ops.totals import Growth, figures_of
from shared.store.connection import REDIS_UNAVAILABLE
from shared.store.queue import Queue
from shared.store.snapshots import Snapshots
from shared.wire.worker_report import WorkerReport

log = logging.getLogger(__name__)

KEPT_S: Final = 600.0
_SHORTEST_S: Final = 1.0
_LONGEST_S: Final = 10.0
_SMOOTH_S: Final = 30.0
"""Rates are means over this time, because workers report every few seconds only."""


def period_s(heartbeat_s: float) -> float:
    """The time between two samples; workers report every `heartbeat_s`."""
    return min(_LONGEST_S, max(_SHORTEST_S, heartbeat_s))


class SampleHistory:
    """The samples of the last ten minutes, one for each refresh of the snapshot."""

    def __init__(self, snapshots: Snapshots, queue: Queue) -> None:
        self.period_s = snapshots.period_s
        self.samples: deque[Sample] = deque(maxlen=int(KEPT_S / self.period_s) + 1)
        self.points: deque[dict[str, Any]] = deque(maxlen=self.samples.maxlen)
        self.reports: Mapping[str, WorkerReport] = {}
        self._snapshots = snapshots
        self._queue = queue
        self._growth = Growth()

    @property
    def recent(self) -> list[Sample]:
        """The last samples, over which rates are calculated."""
        return list(self.samples)[-1 - max(1, round(_SMOOTH_S / self.period_s)) :]

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            try:
                self.samples.append(await self._sample())
                self.points.append(point(self.recent))
            except Exception:
                # Whatever a worker reports, sampling continues.
                log.exception("history")
            await asyncio.sleep(self.period_s)

    async def _sample(self) -> Sample:
        try:
            reports, queue = await self._snapshots.refresh(), await self._queue.state()
        except (*REDIS_UNAVAILABLE, RedisError) as error:
            # The event feed reports it.
            log.debug("history: %s (%s)", error, type(error).__name__)
            return Sample(at=time.time(), queue=None, workers=0, grown=Counter(), by_worker={})
        self.reports = reports
        # In a thread: of a thousand workers there are eighty thousand counters.
        grown = await asyncio.to_thread(self._grown, reports)
        total: Counter[str] = Counter()
        for counters in grown.values():
            total.update(counters)
        tokens = {worker: counters["engine.generated"] for worker, counters in grown.items()}
        return Sample(
            at=time.time(), queue=queue, workers=len(reports), grown=total, by_worker=tokens
        )

    def _grown(self, reports: Mapping[str, WorkerReport]) -> dict[str, Counter[str]]:
        """What each worker's counters grew by since the last sample."""
        return self._growth.since_last(
            {worker: figures_of(report) for worker, report in reports.items()}
        )
