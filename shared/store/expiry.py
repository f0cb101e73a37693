"""How long what is stored outlives its use."""

from typing import Final

from shared.config import Settings
from shared.store.scripts import milliseconds

_IDEMPOTENCY_S: Final = 86400.0
"""How long an idempotency key is remembered at least."""


def expiries(settings: Settings) -> dict[str, int]:
    """How long what an ended turn leaves behind is kept."""
    named_s = max(settings.job_ttl, idempotency_lifetime_s(settings))
    return {
        "job_ttl_ms": milliseconds(settings.job_ttl),
        "jobs_ttl_ms": milliseconds(named_s),
        "events_ttl_ms": milliseconds(min(settings.events_ttl, settings.job_ttl)),
        "conversation_ttl_ms": milliseconds(settings.conversation_ttl),
    }


def idempotency_lifetime_s(settings: Settings) -> float:
    """How long an idempotency key is remembered: a day, or as long as its job if that is longer."""
    return max(_IDEMPOTENCY_S, settings.job_timeout + settings.job_ttl)
