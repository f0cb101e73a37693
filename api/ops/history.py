"""Looks at all workers every few seconds, and remembers the last minutes of it."""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api.ops.totals import Figures, Growth, figures_of
from shared.histograms import Histogram
from shared.queue import Queue, QueueState
from shared.redis import AWAY
from shared.tasks import end
from shared.workers import Workers

log = logging.getLogger(__name__)

KEPT_S: Final = 600.0
_SHORTEST_S: Final = 1.0
_LONGEST_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One look.

    Args:
        at: seconds since the epoch.
        queue: None if Redis was away.
        grown: each worker's counters, since the look before.
    """

    at: float
    queue: QueueState | None
    grown: Mapping[str, Figures]


class History:
    """The task that looks.

    Args:
        heartbeat_s: how often workers tell; looking more often shows nothing new.
    """

    def __init__(self, workers: Workers, queue: Queue, heartbeat_s: float) -> None:
        self.period_s = min(_LONGEST_S, max(_SHORTEST_S, heartbeat_s))
        self.samples: deque[Sample] = deque(maxlen=int(KEPT_S / self.period_s) + 1)
        self.told: Mapping[str, Mapping[str, str]] = {}
        self._workers = workers
        self._queue = queue
        self._growth = Growth()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on."""
        self._task = asyncio.create_task(self._run(), name="history")

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            await end(self._task)

    async def _run(self) -> None:
        while True:
            try:
                self.samples.append(await self._look())
            except Exception:
                # Whatever a worker tells, the next look may be better.
                log.exception("history")
            await asyncio.sleep(self.period_s)

    async def _look(self) -> Sample:
        try:
            told, queue = await self._workers.all(), await self._queue.state()
        except AWAY as error:
            log.debug("history: Redis is away (%s)", type(error).__name__)
            return Sample(time.time(), None, {})
        self.told = told
        figures = {worker: figures_of(fields) for worker, fields in told.items()}
        return Sample(time.time(), queue, self._growth.since_last(figures))


def together(samples: Sequence[Sample]) -> Counter[str]:
    """What all workers' counters grew by."""
    total: Counter[str] = Counter()
    for sample in samples:
        for grown in sample.grown.values():
            total.update(grown)
    return total


def histogram(grown: Figures, name: str) -> Histogram:
    """The part of one histogram that was added; its sum is not known."""
    histogram = Histogram()
    for bucket in range(len(histogram.counts)):
        histogram.counts[bucket] = int(grown.get(f"{name}.{bucket}", 0))
    return histogram
