"""What the workers' counters grew by, although each begins at 0 with its process."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

Figures = Mapping[str, float]
"""Counters by dotted name; those of a histogram's buckets end in a number."""

_ENGINE: Final = ("evaluated", "cached", "generated", "preemptions", "steps")
STARTS: Final = "starts"
_REMEMBERED: Final = 360
"""Looks for which a silent worker is known; after that it would count as a new one."""


def figures_of(told: Mapping[str, str]) -> dict[str, float]:
    """The counters in what one worker told.

    One of another version may tell less.
    """
    stats, turns = told.get("stats") or "{}", told.get("turns") or "{}"
    return dict(_figures(orjson.loads(stats), orjson.loads(turns)))


def _figures(stats: Any, turns: Any) -> Iterator[tuple[str, float]]:
    for name in _ENGINE:
        yield f"engine.{name}", float(stats.get(name, 0))
    for group in ("counts", "outcomes"):
        for name, count in turns.get(group, {}).items():
            yield f"{group}.{name}", float(count)
    for name, histogram in turns.get("histograms", {}).items():
        for bucket, count in enumerate(histogram["counts"]):
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
