"""Samples of all workers, and what happened between two of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.ops.totals import Figures
from shared.store.queue import QueueState
from shared.wire.histograms import Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The state at one moment.

    Args:
        at: seconds since the epoch.
        queue: None if Redis was unavailable.
        workers: how many lived.
        grown: what the counters of all workers together grew by since the last sample.
        by_worker: the reply tokens that each generated since then.
    """

    at: float
    queue: QueueState | None
    workers: int
    grown: Counter[str]
    by_worker: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """The time between two samples, and what all counters grew by."""

    seconds: float
    grown: Counter[str]

    def rate(self, name: str) -> float:
        """The growth of a counter per second."""
        return self.grown[name] / self.seconds if self.seconds > 0 else 0.0


def interval_of(samples: Sequence[Sample]) -> Interval:
    """From the first of these samples to the last."""
    grown: Counter[str] = Counter()
    for sample in samples[1:]:
        grown.update(sample.grown)
    return Interval(seconds=samples[-1].at - samples[0].at, grown=grown)


def histogram(grown: Figures, name: str) -> Histogram:
    """What was added to one histogram; its sum is unknown."""
    histogram = Histogram()
    for bucket in range(len(histogram.counts)):
        histogram.counts[bucket] = int(grown.get(f"{name}.{bucket}", 0))
    return histogram
