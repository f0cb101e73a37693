"""The reply object: the answer of `POST /`, and the result of a completed job."""

from dataclasses import dataclass
from typing import Any, Literal, NotRequired

import orjson
from typing_extensions import TypedDict

from shared.wire.parts import PartKind, ToolCall
from shared.wire.turn_request import TurnRequest

FinishReason = Literal["stop", "length", "tool_calls", "stopped"]
"""`tool_calls`: the reply ends with calls, whose results the client is to send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTokensDetails:
    """`cached_tokens` of the prompt were in a cache."""

    cached_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionTokensDetails:
    """`reasoning_tokens` of the reply were thoughts."""

    reasoning_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one turn; `completion_tokens_details` only of a model that thinks.

    Of a reply that was continued, `completion_tokens` counts all of it, not only what was added.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails | None = None


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


class RecalledElsewhere(TypedDict):
    """Messages of another conversation that were quoted, by their numbers."""

    conversation: int
    messages: list[int]


class MemoryReceipt(TypedDict):
    """What the model saw of messages that have left the window.

    `summarised_turns` is the number of turns that the summary stands for; `recalled` has the
    numbers of messages that were quoted, in part or whole, and `recalled_elsewhere` those of the
    owner's other conversations; `pinned` those of pinned ones. Each is there if it says something.
    """

    summarised_turns: NotRequired[int]
    recalled: NotRequired[list[int]]
    recalled_elsewhere: NotRequired[list[RecalledElsewhere]]
    pinned: NotRequired[list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds from acceptance to start, for evaluating the prompt, and for the reply.

    Of a reply that was continued these are sums over its jobs, as long as those are kept.
    """

    queued_ms: float
    prompt_ms: float
    generation_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResult:
    """A worker's part of the reply object; the rest is from the request.

    `numberOfTokens` is `usage.total_tokens` under its older name. `reply` is text alone: thoughts
    and calls have their own members, which are missing where there are none.

    Args:
        prompt: of a turn that continued a reply, whose request has none; None for others.
        model: name of the model; None in results of older versions.
        memory: what was quoted of earlier messages; None if nothing was.
        order: kinds and lengths of the parts, if they are not thought, text, calls (`order_of`).
        logprobs: of the reply's tokens, as OpenAI shows them, if they were asked for.
        embeddings: of the texts that were to be embedded; each is 32-bit floats, little-endian, in
            base64.
        stop_string: the one that ended the reply.
    """

    reply: str
    timestamp: str
    numberOfTokens: int
    finish_reason: FinishReason
    usage: Usage
    window: WindowReceipt
    timings: Timings
    prompt: str | None = None
    model: str | None = None
    memory: MemoryReceipt | None = None
    reasoning: str | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    order: tuple[tuple[PartKind, int], ...] | None = None
    logprobs: tuple[dict[str, Any], ...] | None = None
    embeddings: tuple[str, ...] | None = None
    stop_string: str | None = None

    def encode(self) -> bytes:
        """As a job keeps it."""
        return orjson.dumps(_without_none(orjson.loads(orjson.dumps(self))))


class ToolCallObject(TypedDict):
    """A call of one of the client's tools; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str


def tool_call_object(call: ToolCall) -> ToolCallObject:
    """A call as clients get it."""
    return {"id": call.id, "name": call.name, "arguments": call.arguments}


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
    model: NotRequired[str]
    memory: NotRequired[MemoryReceipt]
    reasoning: NotRequired[str]
    tool_calls: NotRequired[list[ToolCallObject]]
    order: NotRequired[list[tuple[PartKind, int]]]
    logprobs: NotRequired[list[dict[str, Any]]]
    embeddings: NotRequired[list[str]]
    stop_string: NotRequired[str]


def reply_object(
    job_id: str, conversation_id: str, request: "TurnRequest", result: bytes | str
) -> bytes:
    """A `ReplyObject` as JSON; `result` is an encoded `TurnResult`."""
    head: dict[str, Any] = {"id": int(conversation_id), "prompt": request.prompt}
    if request.context is not None:
        head["context"] = request.context
    return orjson.dumps({**head, **orjson.loads(result), "job": job_id})


def _without_none(fields: dict[str, Any]) -> dict[str, Any]:
    return {
        name: _without_none(value) if isinstance(value, dict) else value
        for name, value in fields.items()
        if value is not None
    }
