"""What came out of a run."""

import statistics
from array import array
from collections.abc import Sequence

from bench.simulate.settings import Plan
from bench.simulate.users import turns_a_second


def percentile(values: Sequence[float], share: float) -> float:
    """0 if there are none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


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

    def waited(self, share: float) -> float:
        return percentile(self.waited_s, share)

    def first_token(self, share: float) -> float:
        return percentile(self.first_token_s, share)
