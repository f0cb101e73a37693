"""A turn's place in the queue."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The position of a waiting turn in the queue, from 1, and how long until it starts."""

    position: int
    eta_seconds: float

    @classmethod
    def of(cls, position: int, eta_ms: int) -> "Place":
        """From a script's answer."""
        return cls(position=position, eta_seconds=round(eta_ms / 1000, 1))
