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
from worker.engine.lookup import MATCHES

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
_TRIED: Final = 4
"""Drafts of a step that only finds out whether they pay."""
_WEIGHT: Final = 0.05
"""Of the newest value in the moving averages."""
_FIRST_ACCEPTANCE: Final = dict(zip(MATCHES, (0.95, 0.9, 0.8, 0.6, 0.4), strict=True))
"""How often a draft is accepted, as long as it is not known, by the length of the match.

Each draft that is accepted makes the match a token longer for the next.
"""


class Speculation:
    """Learns from the steps of an engine."""

    def __init__(self) -> None:
        self.credit = MOST_EARNED
        self._acceptance = dict(_FIRST_ACCEPTANCE)
        self._costs: defaultdict[int, DraftCosts] = defaultdict(DraftCosts)
        """By the number of replies."""

    def size(self, matches: Sequence[int], most: int) -> int:
        """Tokens to draft for each reply.

        Args:
            matches: for each reply, the length of the n-gram that was found.
            most: is never exceeded.
        """
        costs = self._costs[len(matches)]
        if not costs.are_known:
            return 0
        if not costs.have_drafts:
            most = min(most, _TRIED)
        speeds = self._speeds(matches, most, costs)
        paying = [size for size, speed in speeds.items() if speed > 1]
        risked = [size for size in paying if costs.of(size) <= _RISKED * self.credit]
        if paying:
            return max(risked, key=lambda size: speeds[size], default=0)
        return max((size for size in speeds if self._may_try(size, costs)), default=0)

    def record_plain(self, num_replies: int, seconds: float) -> None:
        """Learn from a step without drafts."""
        self.credit = max(self.credit, min(MOST_EARNED, self.credit + EARNED))
        self._costs[num_replies].record_plain(seconds)

    def record_drafts(
        self, matches: Sequence[int], size: int, accepted: Sequence[int], seconds: float
    ) -> None:
        """Learn from a step in which so many drafts of each reply were accepted."""
        costs = self._costs[len(matches)]
        costs.record(size, seconds)
        for matched, number in zip(matches, accepted, strict=True):
            self._learn(matched, number, size)
        gained = sum(accepted) / len(matches) - costs.of(size)
        self.credit = min(_MOST_SAVED, self.credit + gained)

    def _learn(self, matched: int, accepted: int, size: int) -> None:
        outcomes = [1.0] * accepted + [0.0] * (accepted < size)
        for place, outcome in enumerate(outcomes):
            level = _level(matched + place)
            self._acceptance[level] += _WEIGHT * (outcome - self._acceptance[level])

    def _may_try(self, size: int, costs: DraftCosts) -> bool:
        """Whether to find out again if drafts pay. A full credit is enough, whatever they cost."""
        needed = min(MOST_EARNED, _RESERVE + costs.of(size))
        return size <= _TRIED and self.credit >= needed

    def _speeds(self, matches: Sequence[int], most: int, costs: DraftCosts) -> dict[int, float]:
        """Tokens in the time of a plain step, by the number of drafts."""
        expected = list(self._expected(matches, most))
        return {size: expected[size] / (1 + costs.of(size)) for size in SIZES if size <= most}

    def _expected(self, matches: Sequence[int], most: int) -> Iterator[float]:
        """Tokens that a reply gets from a step with 0, 1, … `most` drafts, on average."""
        tokens, likely = 1.0, [1.0] * len(matches)
        yield tokens
        for place in range(most):
            likely = [
                likelihood * self._acceptance[_level(matched + place)]
                for likelihood, matched in zip(likely, matches, strict=True)
            ]
            tokens += sum(likely) / len(likely)
            yield tokens


def _level(matched: int) -> int:
    """The longest n-gram that is looked up and fits into a match."""
    return next(length for length in MATCHES if length <= matched)
