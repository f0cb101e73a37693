"""Callers and their limits."""

from dataclasses import asdict, dataclass
from typing import Any, Final

DEFAULT_OWNER: Final = "default"
"""The owner of all requests where there are no API keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one owner may use; None means no limit.

    Args:
        requests_per_minute: prompts a minute on average, with bursts of as many.
        in_flight: turns that have not ended.
        queued: turns that wait for a worker.
        tokens_per_day: tokens of prompts and replies, from midnight to midnight UTC.
    """

    requests_per_minute: int | None = None
    in_flight: int | None = None
    queued: int | None = None
    tokens_per_day: int | None = None

    def shared_by(self, number: int) -> "Limits":
        """The share of each of so many places that count for themselves: at least one of each."""
        parts = asdict(self).items()
        return Limits(**{name: n if n is None else max(1, n // number) for name, n in parts})

    def arguments(self) -> dict[str, Any]:
        """As the scripts take them."""
        return {
            "rate_limit": self.requests_per_minute,
            "in_flight_limit": self.in_flight,
            "queued_limit": self.queued,
            "tokens_limit": self.tokens_per_day,
        }


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The owner on whose behalf a request is made.

    Args:
        is_operator: may see and end everybody's turns, though not their text.
    """

    owner_id: str = DEFAULT_OWNER
    limits: Limits = NO_LIMITS
    is_operator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The requests a minute that an owner has left, and when all are available again."""

    limit: int
    remaining: int
    reset_s: float
