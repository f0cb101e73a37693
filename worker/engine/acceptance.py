"""How often drafted tokens turn out to be right."""

from collections.abc import Hashable, Iterable, Mapping
from typing import Final, Generic, TypeVar

_WEIGHT: Final = 0.05
"""Of the newest value in the moving averages."""

Ground = TypeVar("Ground", bound=Hashable)
"""What speaks for a drafted token: its place in a draft, or where it was found."""


class Acceptance(Generic[Ground]):
    """A moving average for each ground on which tokens are drafted.

    Args:
        first: what is assumed of each ground as long as nothing is known.
    """

    def __init__(self, first: Mapping[Ground, float]) -> None:
        self._averages = dict(first)

    def chances(self, grounds: Iterable[Ground]) -> list[float]:
        """For each token of a draft, how likely it is right if those before it are."""
        return [self._averages[ground] for ground in grounds]

    def learn(self, ground: Ground, *, was_right: bool) -> None:
        """Learn from a token whose predecessors were right."""
        self._averages[ground] += _WEIGHT * (was_right - self._averages[ground])
