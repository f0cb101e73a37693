"""What drafts add to a step, by their number.

Every number has a cost of its own, as costs follow no line: on CPUs the kernels for one token are
much faster than those for two.
"""

from typing import Final

SIZES: Final = (1, 3, 7, 15)
"""Numbers of drafts that are tried: few, so that the cost of each is soon known.

With the newest token a step has 2, 4, 8 or 16, which kernels work on at a time: on CPUs three
tokens take as long as four, and five as long as six; on GPUs up to eight have kernels of their own.
"""
_FIRST_COST: Final = 0.3
"""Of a draft, in steps, as long as nothing is known."""
_LEAST_COST, _MOST_COST = 0.005, 1.0
"""Of a draft, in steps."""
_MOST_FIRST: Final = 2.0
"""What the first draft may add besides, in steps. More says more about the machine."""
_WEIGHT: Final = 0.2
"""Of the newest value in the moving averages."""
_WEIGHT_OF_SHORTER: Final = 0.5
"""Of a plain step that took less than the average."""


class DraftCosts:
    """Learns from the steps of so many replies. The unit of cost is their plain step."""

    def __init__(self) -> None:
        self._step_s: float | None = None
        self._added_s: dict[int, float] = {}

    @property
    def are_known(self) -> bool:
        """Whether there was a plain step, without which nothing can be compared."""
        return self._step_s is not None

    @property
    def have_drafts(self) -> bool:
        """Whether there was a step with drafts, so that costs are more than a guess."""
        return bool(self._added_s)

    def record_plain(self, seconds: float) -> None:
        """Learn from a step without drafts."""
        before = seconds if self._step_s is None else self._step_s
        # Longer than usual says more about the machine than about the step.
        weight = _WEIGHT if seconds > before else _WEIGHT_OF_SHORTER
        self._step_s = before + weight * (min(seconds, 2 * before) - before)

    def record(self, size: int, seconds: float) -> None:
        """Learn from a step in which each reply had so many drafts."""
        step_s = min(self._step_s or 0.0, seconds)
        if self._step_s is not None:
            # A plain step takes no longer, whatever the machine was doing when one was seen.
            self._step_s = step_s
        added_s = min(max(0.0, seconds - step_s), _most(size) * step_s)
        before = self._added_s.get(size, added_s)
        self._added_s[size] = before + _WEIGHT * (added_s - before)

    def of(self, size: int) -> float:
        """What so many drafts for each reply add to a step.

        What is not known is put between, or in proportion to, what is.
        """
        below = max((known for known in self._added_s if known <= size), default=None)
        above = min((known for known in self._added_s if known >= size), default=None)
        if below is None and above is None:
            return _FIRST_COST * size
        if below is None or above is None:
            nearest = below or above or size
            return self._known(nearest) * size / nearest
        share = (size - below) / max(1, above - below)
        return self._known(below) + share * (self._known(above) - self._known(below))

    def _known(self, size: int) -> float:
        if not self._step_s:
            return _LEAST_COST * size
        return min(max(_LEAST_COST * size, self._added_s[size] / self._step_s), _most(size))


def _most(size: int) -> float:
    return _MOST_FIRST + _MOST_COST * size
