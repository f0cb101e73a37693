"""What was seen at each look at the workers, and between two of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from api.ops.totals import Figures
from shared.store.queue import QueueState
from shared.wire.histograms import Histogram


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One look.

    Args:
        at: seconds since the epoch.
        queue: None if Redis was away.
        grown: what all workers' counters grew by since the look before.
        by_worker: the reply tokens of each.
    """

    at: float
    queue: QueueState | None
    grown: Counter[str]
    by_worker: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """What happened between two looks: seconds, and what all counters grew by."""

    seconds: float
    grown: Counter[str]

    def rate(self, name: str) -> float:
        """Of a counter, a second."""
        return self.grown[name] / self.seconds if self.seconds > 0 else 0.0


def stretch(samples: Sequence[Sample]) -> Stretch:
    """From the first of these looks to the last."""
    grown: Counter[str] = Counter()
    for sample in samples[1:]:
        grown.update(sample.grown)
    return Stretch(seconds=samples[-1].at - samples[0].at, grown=grown)


def histogram(grown: Figures, name: str) -> Histogram:
    """The part of one histogram that was added; its sum is not known."""
    histogram = Histogram()
    for bucket in range(len(histogram.counts)):
        histogram.counts[bucket] = int(grown.get(f"{name}.{bucket}", 0))
    return histogram
