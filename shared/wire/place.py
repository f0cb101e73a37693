"""Where a turn stands in the queue."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A waiting turn's place in the queue, from 1, and how long until it starts."""

    position: int
    eta_seconds: float

    @classmethod
    def of(cls, position: int, eta_ms: int) -> "Place":
        """From what a script answers."""
        return cls(position=position, eta_seconds=round(eta_ms / 1000, 1))
