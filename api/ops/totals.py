"""Growth of the workers' counters, each of which restarts at 0 with its process."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Final

from shared.wire.worker_report import WorkerReport

Figures = Mapping[str, float]
"""Counters by dotted name; those of a histogram's buckets end in a number."""

STARTS: Final = "starts"
_REMEMBERED: Final = 360
"""Samples for which a silent worker is remembered; after that it counts as a new one."""


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
    """Compares the workers' counters with those of the last sample."""

    def __init__(self) -> None:
        self._samples = 0
        self._last: dict[str, tuple[int, Mapping[str, float]]] = {}

    def since_last(self, figures: Mapping[str, Mapping[str, float]]) -> dict[str, Counter[str]]:
        """What each worker's counters grew by; nothing for the first sample.

        A new worker counts from 0, and as a start. A worker that was silent for a while is compared
        with its last report.
        """
        first, self._samples = self._samples == 0, self._samples + 1
        grown = {}
        for worker, now in figures.items():
            _, before = self._last.get(worker, (0, None))
            grown[worker] = Counter() if first else _growth(before, now)
            self._last[worker] = self._samples, now
        self._last = {
            worker: (sample, figures)
            for worker, (sample, figures) in self._last.items()
            if sample > self._samples - _REMEMBERED
        }
        return grown


def _growth(before: Mapping[str, float] | None, now: Mapping[str, float]) -> Counter[str]:
    """The growth of one worker's counters; `before` is None for a new worker."""
    grown = Counter({STARTS: int(before is None)})
    for name, value in now.items():
        grown[name] += max(0, int(value - (before or {}).get(name, 0)))
    return grown
