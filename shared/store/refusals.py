"""A script's answer as an error, or as what the caller has left."""

from collections.abc import Sequence
from typing import Final

from shared.errors import (
    ConversationBusy,
    IdempotencyKeyReused,
    IdempotencyKeySpent,
    InvalidReplaceFrom,
    LimitReached,
    NoEmbeddings,
    NoSuchConversation,
    NoSuchModel,
    NoSuchTurn,
    NothingToContinue,
    NoWorker,
    QueueFull,
    Refused,
    TurnInProgress,
    TurnWithoutReply,
)
from shared.wire.job_status import ENDED
from shared.wire.limits import Allowance, Limits

_WITH_ALLOWANCE: Final = 5


def allowance_of(answer: Sequence[str], limits: Limits) -> Allowance | None:
    """What is left of the requests a minute; None if they are not limited."""
    if limits.requests_per_minute is None or len(answer) < _WITH_ALLOWANCE:
        return None
    return Allowance(
        limit=limits.requests_per_minute, remaining=int(answer[3]), reset_s=float(answer[4]) / 1000
    )


def refusal(answer: Sequence[str]) -> Refused:
    """The error for an answer that refuses."""
    match answer[0]:
        case "GONE":
            return NoSuchConversation("there is no such conversation")
        case "UNKNOWN":
            return NoSuchTurn("there is no such response, or its conversation was deleted")
        case "REPLACED":
            return NoSuchTurn("another turn has replaced that response")
        case "NO_REPLY":
            if answer[1] in ENDED:
                return TurnWithoutReply(answer[1])
            return TurnInProgress("that response has not ended yet: wait for it, then continue")
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
            return _refusal_of_what_is_there(answer)


def _refusal_of_what_is_there(answer: Sequence[str]) -> Refused:
    match answer[0]:
        case "NOTHING":
            return NothingToContinue()
        case "NO_MODEL":
            return NoSuchModel(answer[1], answer[2:])
        case "NO_EMBEDDINGS":
            return NoEmbeddings(answer[1])
        case _:
            return NoWorker(*answer[1:])
