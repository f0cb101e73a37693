"""The reply object: the answer of `POST /`, and the result of a completed job."""

from dataclasses import dataclass
from typing import Any, Literal, NotRequired

import orjson
from typing_extensions import TypedDict

from tests.faults.old_wire.turn_request import TurnRequest

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTokensDetails:
    """`cached_tokens` of the prompt were in a cache."""

    cached_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one turn."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class WindowReceipt(TypedDict):
    """How much of the conversation the model saw.

    `budget` and `used` count tokens (prompt and reply), `turns_kept` counts this turn too.
    `max_tokens` is the longest reply that fitted, if the request asked for a longer one.
    """

    budget: int
    used: int
    turns_kept: int
    turns_dropped: int
    max_tokens: NotRequired[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds from acceptance to start, for evaluating the prompt, and for the reply."""

    queued_ms: float
    prompt_ms: float
    generation_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResult:
    """A worker's part of the reply object; the rest is from the request.

    `numberOfTokens` is `usage.total_tokens` under its older name.
    """

    reply: str
    timestamp: str
    numberOfTokens: int
    finish_reason: FinishReason
    usage: Usage
    window: WindowReceipt
    timings: Timings


class ReplyObject(TypedDict):
    """The 200 answer of `POST /`, with `context` if the request had one."""

    id: int
    prompt: str
    context: NotRequired[str]
    reply: str
    timestamp: str
    numberOfTokens: int
    job: str
    finish_reason: FinishReason
    usage: Usage
    window: WindowReceipt
    timings: Timings


def reply_object(
    job_id: str, conversation_id: str, request: "TurnRequest", result: bytes | str
) -> bytes:
    """A `ReplyObject` as JSON; `result` is an encoded `TurnResult`."""
    head: dict[str, Any] = {"id": int(conversation_id), "prompt": request.prompt}
    if request.context is not None:
        head["context"] = request.context
    return orjson.dumps({**head, **orjson.loads(result), "job": job_id})
