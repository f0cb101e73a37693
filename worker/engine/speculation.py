"""How many tokens to draft: as many as pay, by what they cost and how often they are accepted.

The unit of cost is a plain step, which gives one token to each running reply. A step whose replies
have `n` drafts each takes `1 + cost(n)` of it, and gives each one token and those accepted.

Text in which nothing recurs must not get slower. Hence drafts are paid from a credit that plain
steps fill by a hundredth each and accepted tokens by what they save: whatever the text is, all
drafts together have never cost more than that and what an engine begins with.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from worker.engine.draft_costs import SIZES, DraftCosts

EARNED: Final = 0.01
"""Credit that a plain step gives, in steps."""
MOST_EARNED: Final = 4.0
"""Credit up to which plain steps give some, and that an engine begins with."""
_MOST_SAVED: Final = 16.0
"""Credit up to which accepted drafts add to it: what is lost when the text changes its nature."""
_RISKED: Final = 0.75
"""Share of the credit that the drafts of a step may lose."""
_RESERVE: Final = 2.0
"""Credit that is kept for drafts that are likely to pay."""
_TRIED: Final = 3
"""Drafts of a step that only finds out whether they pay."""
_TRIED_EVERY: Final = 64
"""Steps between two of those."""
_PLAIN_EVERY: Final = 32
"""Steps with drafts, after which one without shows what those are compared with."""


class Speculation:
    """Learns from the steps of an engine."""

    def __init__(self) -> None:
        self.credit = MOST_EARNED
        self._costs: defaultdict[int, DraftCosts] = defaultdict(DraftCosts)
        """By the number of replies."""
        self._num_plain = 0
        """Steps since there were drafts."""
        self._num_drafted = 0
        """Steps since there were none."""

    def size(self, chances: Sequence[Sequence[float]], most: int) -> int:
        """Tokens to draft for each reply.

        Args:
            chances: for each reply how likely the first, second, … draft is right if those before
                it are; what is left out is never right.
            most: is never exceeded.
        """
        costs = self._costs[len(chances)]
        if not costs.are_known or self._num_drafted >= _PLAIN_EVERY:
            return 0
        if not costs.have_drafts:
            most = min(most, _TRIED)
        speeds = self._speeds(chances, most, costs)
        paying = [size for size, speed in speeds.items() if speed > 1]
        risked = [size for size in paying if costs.of(size) <= _RISKED * self.credit]
        if paying:
            return max(risked, key=lambda size: speeds[size], default=0)
        return max((size for size in speeds if self._may_try(size, costs)), default=0)

    def record_plain(self, num_replies: int, seconds: float) -> None:
        """Learn from a step without drafts."""
        self._num_plain, self._num_drafted = self._num_plain + 1, 0
        self.credit = max(self.credit, min(MOST_EARNED, self.credit + EARNED))
        self._costs[num_replies].record_plain(seconds)

    def record_drafts(self, size: int, accepted: Sequence[int], seconds: float) -> None:
        """Learn from a step in which so many of each reply's `size` drafts were accepted."""
        self._num_plain, self._num_drafted = 0, self._num_drafted + 1
        costs = self._costs[len(accepted)]
        costs.record(size, seconds)
        gained = sum(accepted) / len(accepted) - costs.of(size)
        self.credit = min(_MOST_SAVED, self.credit + gained)

    def _may_try(self, size: int, costs: DraftCosts) -> bool:
        """Whether to find out again if drafts pay. A full credit is enough, whatever they cost."""
        needed = min(MOST_EARNED, _RESERVE + costs.of(size))
        return size <= _TRIED and self._num_plain >= _TRIED_EVERY and self.credit >= needed

    def _speeds(
        self, chances: Sequence[Sequence[float]], most: int, costs: DraftCosts
    ) -> dict[int, float]:
        """Tokens in the time of a plain step, by the number of drafts."""
        expected = list(_expected(chances, most))
        return {size: expected[size] / (1 + costs.of(size)) for size in SIZES if size <= most}


def _expected(chances: Sequence[Sequence[float]], most: int) -> Iterator[float]:
    """Tokens that a reply gets from a step with 0, 1, … `most` drafts, on average."""
    tokens, likely = 1.0, [1.0] * len(chances)
    yield tokens
    for place in range(most):
        likely = [
            likelihood * (each[place] if place < len(each) else 0.0)
            for likelihood, each in zip(likely, chances, strict=True)
        ]
        tokens += sum(likely) / len(likely)
        yield tokens
