"""The payloads of a job's server-sent events, as `/openapi.json` describes them."""

from typing import Any, NotRequired

from typing_extensions import TypedDict

from shared.wire.reply import ReplyObject, ToolCallObject


class QueuedEvent(TypedDict):
    """The turn waits. Sent again whenever its position changes."""

    job: str
    id: int
    position: int
    eta_seconds: float


class StartedEvent(TypedDict):
    """A worker has started the turn."""

    attempt: int


class ResumedEvent(TypedDict):
    """The worker was lost and another one continues; the text so far stands."""

    attempt: int


class TokenEvent(TypedDict):
    """A piece of the reply. All pieces joined are the reply.

    `logprobs`, if they were asked for, are of the tokens since the last event that had some.
    """

    text: str
    logprobs: NotRequired[list[dict[str, Any]]]


class ReasoningEvent(TypedDict):
    """A piece of what the model thinks. All pieces joined are `reasoning` of the reply."""

    text: str
    logprobs: NotRequired[list[dict[str, Any]]]


class FailureObject(TypedDict):
    """Why a turn failed; the token counts come with `context_length_exceeded`."""

    code: str
    detail: str
    prompt_tokens: NotRequired[int]
    budget: NotRequired[int]


class FailedEvent(TypedDict):
    """The turn failed. The last event of its stream."""

    error: FailureObject


class CancelledEvent(TypedDict):
    """The turn was cancelled. The last event of its stream."""


JOB_EVENTS: dict[str, type] = {
    "queued": QueuedEvent,
    "started": StartedEvent,
    "resumed": ResumedEvent,
    "reasoning": ReasoningEvent,
    "token": TokenEvent,
    "call": ToolCallObject,
    "completed": ReplyObject,
    "failed": FailedEvent,
    "cancelled": CancelledEvent,
}
