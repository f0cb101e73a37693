"""Who asks, and how much they may."""

from dataclasses import dataclass
from typing import Any, Final

DEFAULT_OWNER: Final = "default"
"""Everybody, where there are no API keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one owner may use; None is without limit.

    Args:
        requests_per_minute: prompts, in any minute on average, with bursts up to as many.
        in_flight: prompts accepted and not ended.
        queued: prompts that wait for a worker.
        tokens_per_day: of prompts and replies, from midnight to midnight UTC.
    """

    requests_per_minute: int | None = None
    in_flight: int | None = None
    queued: int | None = None
    tokens_per_day: int | None = None

    def arguments(self) -> dict[str, Any]:
        """As `submit` takes them."""
        return {
            "rate_limit": self.requests_per_minute,
            "in_flight_limit": self.in_flight,
            "queued_limit": self.queued,
            "tokens_limit": self.tokens_per_day,
        }


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The owner in whose name a request is made."""

    owner_id: str = DEFAULT_OWNER
    limits: Limits = NO_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What is left of an owner's requests a minute, and when all of it is there again."""

    limit: int
    remaining: int
    reset_s: float
