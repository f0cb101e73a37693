"""What came out of a run."""

import statistics
from array import array
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.simulate.settings import Plan
from bench.simulate.users import turns_a_second


def percentile(values: Sequence[float], share: float) -> float:
    """0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A few seconds of a run."""

    at_s: float
    hits: float
    first_token_s: float
    """95 % are below."""


class Figures:
    """Of everything that began after the warm-up."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.at_s = array("d")
        """When each turn began; the columns below have one value for each."""
        self.waited_s = array("d")
        self.first_token_s = array("d")
        """From its arrival."""
        self.cached = array("l")
        self.reusable = array("l")
        """Prompt tokens that a single worker with endless memory would have had."""
        self.owners = array("l")
        self.queue: list[tuple[float, int]] = []
        """Seconds, and how many waited."""
        self.imbalance = 0.0
        """Busy seconds of the busiest worker, by the mean."""

    def started(
        self,
        now: float,
        *,
        waited_s: float,
        first_token_s: float,
        cached: int,
        reusable: int,
        owner: int,
    ) -> None:
        if now < self.plan.warm_up_s:
            return
        self.at_s.append(now)
        self.waited_s.append(waited_s)
        self.first_token_s.append(first_token_s)
        self.cached.append(cached)
        self.reusable.append(reusable)
        self.owners.append(owner)

    def waiting(self, now: float, count: int) -> None:
        self.queue.append((now, count))

    def finish(self, busy_s: Sequence[float]) -> None:
        mean = statistics.fmean(busy_s)
        self.imbalance = max(busy_s) / mean if mean else 0.0

    @property
    def of_offered(self) -> float:
        """Turns that began, as a share of those that users who never wait would have asked."""
        offered = turns_a_second(self.plan.cluster, self.plan.users) * self.plan.measured_s
        return len(self.at_s) / offered

    @property
    def hits(self) -> float:
        """Cached prompt tokens, as a share of those that were evaluated before."""
        return sum(self.cached) / max(1, sum(self.reusable))

    @property
    def mean_queue(self) -> float:
        """Turns that wait, on average."""
        return statistics.fmean(count for _, count in self.queue) if self.queue else 0.0

    def waited(self, share: float) -> float:
        return percentile(self.waited_s, share)

    def waited_by(self, share: float, is_one: Callable[[int], bool]) -> float:
        """Of some owners' turns alone."""
        waits = zip(self.owners, self.waited_s, strict=True)
        return percentile([waited for owner, waited in waits if is_one(owner)], share)

    def first_token_of(self, share: float, is_one: Callable[[int], bool]) -> float:
        """Of some owners' turns alone."""
        times = zip(self.owners, self.first_token_s, strict=True)
        return percentile([time for owner, time in times if is_one(owner)], share)

    def over_time(self, step_s: float) -> list[Span]:
        """One after another, each so long; those without a turn are left out."""
        rows: dict[int, list[int]] = defaultdict(list)
        for row, moment in enumerate(self.at_s):
            rows[int(moment // step_s)].append(row)
        return [
            Span(
                at_s=span * step_s,
                hits=sum(self.cached[row] for row in of_span)
                / max(1, sum(self.reusable[row] for row in of_span)),
                first_token_s=percentile([self.first_token_s[row] for row in of_span], 0.95),
            )
            for span, of_span in sorted(rows.items())
        ]

    def first_token(self, share: float) -> float:
        return percentile(self.first_token_s, share)
