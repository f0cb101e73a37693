"""How many tokens to draft: as many as pay, by what they cost and how often they are accepted.

The unit of cost is a plain step, which gives one token to each running reply. A step whose replies
have `n` drafts each takes `1 + n * cost` of it, and gives each one token and those accepted.

Text in which nothing recurs must not get slower. Hence drafts are paid from a credit that plain
steps fill by a hundredth each and accepted tokens by what they save: whatever the text is, all
drafts together have never cost more than that and what an engine begins with.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from worker.engine.lookup import MATCHES

EARNED: Final = 0.01
"""Credit that a plain step gives, in steps."""
MOST_EARNED: Final = 4.0
"""Credit up to which plain steps give some, and that an engine begins with."""
_MOST_SAVED: Final = 16.0
"""Credit up to which accepted drafts add to it: what is lost when the text changes its nature."""
_RISKED: Final = 0.5
"""Share of the credit that the drafts of a step may lose."""
_RESERVE: Final = 2.0
"""Credit that is kept for drafts that are likely to pay."""
_TRIED: Final = 4
"""Drafts of a step that only finds out whether they pay."""
_FIRST_COST: Final = 0.3
"""Of a draft, in steps, as long as it is not known."""
_LEAST_COST, _MOST_COST = 0.005, 1.0
_COST_WEIGHT: Final = 0.2
_ACCEPTANCE_WEIGHT: Final = 0.05
"""Weights of the newest value in the moving averages."""
_FIRST_ACCEPTANCE: Final = dict(zip(MATCHES, (0.95, 0.9, 0.8, 0.6, 0.4), strict=True))
"""How often a draft is accepted, as long as it is not known, by the length of the match.

Each draft that is accepted makes the match a token longer for the next.
"""


class Speculation:
    """Learns from the steps of an engine."""

    def __init__(self) -> None:
        self.credit = MOST_EARNED
        self._acceptance = dict(_FIRST_ACCEPTANCE)
        self._step_s: dict[int, float] = {}
        """Duration of a plain step, by the number of replies."""
        self._draft_s: float | None = None
        """What a draft adds to it."""

    def size(self, matches: Sequence[int], most: int) -> int:
        """Tokens to draft for each reply.

        Args:
            matches: for each reply, the length of the n-gram that was found.
            most: is never exceeded.
        """
        if len(matches) not in self._step_s:
            return 0
        cost = self._cost(len(matches))
        best = self._best(matches, most, cost)
        if best > 0:
            return min(best, int(_RISKED * self.credit / cost))
        # What a full credit pays for, however expensive drafts have been.
        tried = min(most, _TRIED, int((MOST_EARNED - _RESERVE) / cost))
        return tried if self.credit >= _RESERVE + tried * cost else 0

    def record_plain(self, num_replies: int, seconds: float) -> None:
        """Learn from a step without drafts."""
        self.credit = max(self.credit, min(MOST_EARNED, self.credit + EARNED))
        before = self._step_s.get(num_replies, seconds)
        # Twice as long as usual says more about the machine than about the step.
        seconds = min(seconds, 2 * before)
        self._step_s[num_replies] = before + _COST_WEIGHT * (seconds - before)

    def record_drafts(
        self, matches: Sequence[int], size: int, accepted: Sequence[int], seconds: float
    ) -> None:
        """Learn from a step in which so many drafts of each reply were accepted."""
        count = len(matches)
        step_s = self._step_s[count]
        # More than a step for each says more about the machine than about drafts.
        added_s = min(max(0.0, seconds - step_s) / size, step_s) / count
        before = added_s if self._draft_s is None else self._draft_s
        self._draft_s = before + _COST_WEIGHT * (added_s - before)
        for matched, number in zip(matches, accepted, strict=True):
            self._learn(matched, number, size)
        gained = sum(accepted) / count - size * self._cost(count)
        self.credit = min(_MOST_SAVED, self.credit + gained)

    def _learn(self, matched: int, accepted: int, size: int) -> None:
        outcomes = [1.0] * accepted + [0.0] * (accepted < size)
        for place, outcome in enumerate(outcomes):
            level = _level(matched + place)
            self._acceptance[level] += _ACCEPTANCE_WEIGHT * (outcome - self._acceptance[level])

    def _cost(self, num_replies: int) -> float:
        """What one draft for each reply adds to a step, in plain steps."""
        step_s = self._step_s[num_replies]
        if self._draft_s is None:
            return _FIRST_COST
        if step_s == 0:
            return _LEAST_COST
        return max(_LEAST_COST, min(self._draft_s * num_replies / step_s, _MOST_COST))

    def _best(self, matches: Sequence[int], most: int, cost: float) -> int:
        """The number of drafts that gives the most tokens in the time of a step; 0 if none pays."""
        speeds = (
            tokens / (1 + size * cost) for size, tokens in enumerate(self._expected(matches, most))
        )
        return max(enumerate(speeds), key=lambda pair: (pair[1], -pair[0]))[0]

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
