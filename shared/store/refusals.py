"""What `submit` is asked and answers beside the prompt: idempotency keys and refusals."""

import hashlib
from collections.abc import Sequence
from typing import Any, Final

from shared.config import Settings
from shared.errors import (
    ConversationBusy,
    IdempotencyKeyReused,
    IdempotencyKeySpent,
    InvalidReplaceFrom,
    LimitReached,
    NoSuchConversation,
    NoSuchTurn,
    NoWorker,
    QueueFull,
    Refused,
    TurnInProgress,
    TurnWithoutReply,
)
from shared.store.scripts import milliseconds
from shared.wire.limits import Allowance, Limits
from shared.wire.schema import ENDED
from shared.wire.turn import Submission

_WITH_ALLOWANCE: Final = 5

IDEMPOTENCY_S: Final = 86400.0
"""How long an idempotency key is remembered at least."""


def idempotency_arguments(submission: Submission, settings: Settings) -> dict[str, Any]:
    """The script's arguments for a submission's idempotency key; none without a key."""
    key = submission.idempotency_key
    if key is None:
        return {}
    # Hashed: a client's key is of any content, and a body may be long.
    digest = hashlib.sha256(f"{submission.owner_id}\0{key}".encode()).hexdigest()[:32]
    said = [submission.request.encode(), None if submission.new else submission.conversation_id]
    return {
        "idempotency": digest,
        "body": hashlib.sha256(repr(said).encode()).hexdigest()[:32],
        "idempotency_ms": milliseconds(idempotency_lifetime_s(settings)),
    }


def idempotency_lifetime_s(settings: Settings) -> float:
    """How long an idempotency key is remembered: a day, or as long as its job if that is longer."""
    return max(IDEMPOTENCY_S, settings.job_timeout + settings.job_ttl)


def allowance_of(answer: Sequence[str], limits: Limits) -> Allowance | None:
    """What is left of the requests a minute, if they are limited."""
    if limits.requests_per_minute is None or len(answer) < _WITH_ALLOWANCE:
        return None
    return Allowance(
        limit=limits.requests_per_minute, remaining=int(answer[3]), reset_s=float(answer[4]) / 1000
    )


def refusal(answer: Sequence[str]) -> Refused:
    """The error for a script's answer that accepts nothing."""
    match answer[0]:
        case "GONE":
            return NoSuchConversation("there is no such conversation")
        case "UNKNOWN":
            return NoSuchTurn("there is no such response, or its conversation was deleted")
        case "REPLACED":
            return NoSuchTurn("another turn stands in the place of that response")
        case "NO_REPLY":
            if answer[1] in ENDED:
                return TurnWithoutReply(answer[1])
            return TurnInProgress("that response has not ended yet: wait for it, then go on")
        case "BUSY":
            return ConversationBusy("the conversation has too many unfinished turns")
        case "REPLACE":
            return InvalidReplaceFrom(int(answer[1]))
        case "FULL":
            return QueueFull(float(answer[1]) / 1000)
        case "LIMIT":
            return LimitReached(answer[1], int(answer[2]), float(answer[3]) / 1000)
        case "REUSED":
            return IdempotencyKeyReused("the key was used with another body")
        case "SPENT":
            return IdempotencyKeySpent(answer[1])
        case _:
            return NoWorker("no worker has been heard of lately")
