"""How long things are kept after a turn has ended."""

from typing import Final

from shared.config import Settings
from shared.store.scripts import milliseconds

_IDEMPOTENCY_S: Final = 86400.0
"""The shortest time for which an idempotency key is kept."""


def expiries(settings: Settings) -> dict[str, int]:
    """The scripts' arguments for how long an ended turn, its log and its conversation are kept."""
    listed_s = max(settings.job_ttl, idempotency_lifetime_s(settings))
    return {
        "job_ttl_ms": milliseconds(settings.job_ttl),
        "jobs_ttl_ms": milliseconds(listed_s),
        "events_ttl_ms": milliseconds(min(settings.events_ttl, settings.job_ttl)),
        "conversation_ttl_ms": milliseconds(settings.conversation_ttl),
    }


def idempotency_lifetime_s(settings: Settings) -> float:
    """How long an idempotency key is kept: a day, or as long as its job if that is longer."""
    return max(_IDEMPOTENCY_S, settings.job_timeout + settings.job_ttl)
