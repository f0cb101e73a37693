"""Looks at all workers every few seconds, and remembers the last minutes of it."""

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
from shared.store.workers import Workers
from shared.wire.worker_report import WorkerReport

log = logging.getLogger(__name__)

KEPT_S: Final = 600.0
_SHORTEST_S: Final = 1.0
_LONGEST_S: Final = 10.0
_SMOOTH_S: Final = 30.0
"""Rates are means over so long: workers tell of themselves every few seconds only."""


class History:
    """The task that looks.

    Args:
        heartbeat_s: how often workers tell; looking more often shows nothing new.
    """

    def __init__(self, workers: Workers, queue: Queue, heartbeat_s: float) -> None:
        self.period_s = min(_LONGEST_S, max(_SHORTEST_S, heartbeat_s))
        self.samples: deque[Sample] = deque(maxlen=int(KEPT_S / self.period_s) + 1)
        self.points: deque[dict[str, Any]] = deque(maxlen=self.samples.maxlen)
        self.reports: Mapping[str, WorkerReport] = {}
        self._workers = workers
        self._queue = queue
        self._growth = Growth()

    @property
    def lately(self) -> list[Sample]:
        """The last looks, over which rates are taken."""
        return list(self.samples)[-1 - max(1, round(_SMOOTH_S / self.period_s)) :]

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                self.samples.append(await self._look())
                self.points.append(point(self.lately))
            except Exception:
                # Whatever a worker tells, the next look may be better.
                log.exception("history")
            await asyncio.sleep(self.period_s)

    async def _look(self) -> Sample:
        try:
            reports, queue = await self._workers.all(), await self._queue.state()
        except (*REDIS_UNAVAILABLE, RedisError) as error:
            # Others tell of it.
            log.debug("history: %s (%s)", error, type(error).__name__)
            return Sample(at=time.time(), queue=None, grown=Counter(), by_worker={})
        self.reports = reports
        figures = {worker: figures_of(report) for worker, report in reports.items()}
        grown = self._growth.since_last(figures)
        total: Counter[str] = Counter()
        for one in grown.values():
            total.update(one)
        tokens = {worker: one["engine.generated"] for worker, one in grown.items()}
        return Sample(at=time.time(), queue=queue, grown=total, by_worker=tokens)
