"""What the workers' counters grew by, although each begins at 0 with its process."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

from shared.wire.worker_report import WorkerReport

Figures = Mapping[str, float]
"""Counters by dotted name; those of a histogram's buckets end in a number."""

STARTS: Final = "starts"
_REMEMBERED: Final = 360
"""Looks for which a silent worker is known; after that it would count as a new one."""


def figures_of(report: WorkerReport) -> dict[str, float]:
    """The counters of one worker."""
    return dict(_figures(report))


def _figures(report: WorkerReport) -> Iterator[tuple[str, float]]:
    engine, turns = report.engine, report.turns
    yield "engine.evaluated", float(engine.evaluated)
    yield "engine.cached", float(engine.cached)
    yield "engine.generated", float(engine.generated)
    yield "engine.preemptions", float(engine.preemptions)
    yield "engine.steps", float(engine.steps)
    for name, count in asdict(turns.counts).items():
        yield f"counts.{name}", float(count)
    for outcome, count in turns.outcomes.items():
        yield f"outcomes.{outcome}", float(count)
    for name, histogram in turns.histograms.items():
        for bucket, count in enumerate(histogram.counts):
            yield f"{name}.{bucket}", float(count)


class Growth:
    """Compares what workers tell with what they told before."""

    def __init__(self) -> None:
        self._looks = 0
        self._last: dict[str, tuple[int, Mapping[str, float]]] = {}

    def since_last(self, told: Mapping[str, Mapping[str, float]]) -> dict[str, Counter[str]]:
        """What each worker's counters grew by; nothing at the first look.

        A worker that was not there before counts from its beginning, as a start. One that is silent
        for a while and comes back goes on where it was.
        """
        first, self._looks = self._looks == 0, self._looks + 1
        grown = {}
        for worker, figures in told.items():
            _, before = self._last.get(worker, (0, None))
            grown[worker] = Counter() if first else _growth(before, figures)
            self._last[worker] = self._looks, figures
        self._last = {
            worker: (look, figures)
            for worker, (look, figures) in self._last.items()
            if look > self._looks - _REMEMBERED
        }
        return grown


def _growth(before: Mapping[str, float] | None, now: Mapping[str, float]) -> Counter[str]:
    """From nothing, if it was not there."""
    grown = Counter({STARTS: int(before is None)})
    for name, value in now.items():
        grown[name] += max(0, int(value - (before or {}).get(name, 0)))
    return grown
