"""Histograms: counted by workers, part of their reports, shown by the API."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Upper bounds for times that people wait."""


@dataclass
class Histogram:
    """Counts of values up to each bound, the last for those above all bounds; and their sum."""

    bounds: Sequence[float] = SECONDS
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def copy(self) -> "Histogram":
        """The present counts, apart from further ones."""
        return Histogram(bounds=self.bounds, counts=list(self.counts), total=self.total)

    def to_json(self) -> dict[str, Any]:
        return {"counts": self.counts, "total": round(self.total, 6)}

    @classmethod
    def from_json(cls, fields: Any) -> "Histogram":
        """Raises: KeyError, TypeError, ValueError if the fields are not those of a histogram."""
        return cls(counts=list(fields["counts"]), total=float(fields["total"]))

    def quantile(self, share: float) -> float | None:
        """Estimate the value that this share of all values does not exceed; None without values.

        Values are assumed to spread evenly within a bucket; those above the last bound count as
        that bound.
        """
        rank, running, lower = share * sum(self.counts), 0.0, 0.0
        for count, upper in zip(self.counts, self.bounds, strict=False):
            if count and running + count >= rank:
                return lower + (upper - lower) * max(0.0, rank - running) / count
            running, lower = running + count, upper
        return lower if self.counts[-1] else None

    def buckets(self) -> list[tuple[str, float]]:
        """As in Prometheus: each upper bound with the number of values not above it."""
        buckets, running = [], 0
        for bound, count in zip((*map(repr, self.bounds), "+Inf"), self.counts, strict=True):
            running += count
            buckets.append((bound, float(running)))
        return buckets
