"""The wire types: what clients get, and what API and workers tell each other.

Frozen dataclasses, encoded by orjson. What clients send is in `shared/wire/requests.py`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, NotRequired

import orjson
from typing_extensions import TypedDict

from shared.wire.requests import Sampling

Role = Literal["system", "user", "assistant"]
FinishReason = Literal["stop", "length"]
JobStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled"]

ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
"""Statuses and events after which nothing of a job changes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTokensDetails:
    """`cached_tokens` of the prompt were not evaluated again."""

    cached_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one turn."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails


class WindowReceipt(TypedDict):
    """What of the conversation the model saw.

    `budget` and `used` count tokens (prompt and reply), `turns_kept` counts this turn too.
    `max_tokens` is the longest reply that there was room for, where a longer one was asked for.
    """

    budget: int
    used: int
    turns_kept: int
    turns_dropped: int
    max_tokens: NotRequired[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Milliseconds from acceptance to start, for the prompt's evaluation, for the reply."""

    queued_ms: float
    prompt_ms: float
    generation_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnResult:
    """What a worker found out; together with the request it is the reply object.

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
    """The 200 answer of `POST /`. `context` is there if the request had one."""

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


class JobError(TypedDict):
    """Why a job failed."""

    code: str
    detail: str


class QueuePlace(TypedDict):
    """A waiting turn's place, from 1, and how long until it starts at the present pace."""

    position: int
    eta_seconds: float


class JobLinks(TypedDict):
    """Where a job is found."""

    self: str
    events: str


class JobObject(TypedDict):
    """A job as clients see it; `result` when completed, `error` when failed."""

    job: str
    status: JobStatus
    id: int
    attempts: int
    created_at: str
    started_at: NotRequired[str]
    finished_at: NotRequired[str]
    queue: NotRequired[QueuePlace]
    result: NotRequired[ReplyObject]
    error: NotRequired[JobError]
    links: JobLinks


class MessageObject(TypedDict):
    """One message as clients see it; `tokens` of its content."""

    number: int
    role: Role
    content: str
    timestamp: str
    tokens: int
    job: str


class MessagePage(TypedDict):
    """Messages, oldest first; `next` is the `before` of the page before, or null."""

    messages: list[MessageObject]
    next: int | None


class ConversationObject(TypedDict):
    """A conversation: completed turns, all tokens ever used, the last window, pending jobs."""

    id: int
    context: str
    created_at: str
    updated_at: str
    turns: int
    tokens: int
    window: WindowReceipt | None
    pending: list[str]


class ConversationList(TypedDict):
    """Conversations, the newest first; `next` is the `before` of the next page, or null.

    It says where that page begins, also when the conversations there have been deleted.
    """

    conversations: list[ConversationObject]
    next: str | None


class FieldError(TypedDict):
    """One wrong field."""

    field: str
    message: str


class ProblemObject(TypedDict):
    """An error (RFC 9457); `errors` for 422, `job` and `id` where a job ended without a reply."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: NotRequired[list[FieldError]]
    job: NotRequired[str]
    id: NotRequired[int]
    prompt_tokens: NotRequired[int]
    budget: NotRequired[int]


def reply_object(
    job_id: str, conversation_id: str, request: "TurnRequest", result: bytes | str
) -> bytes:
    """A `ReplyObject` as JSON; `result` is an encoded `TurnResult`."""
    head: dict[str, Any] = {"id": int(conversation_id), "prompt": request.prompt}
    if request.context is not None:
        head["context"] = request.context
    return orjson.dumps({**head, **orjson.loads(result), "job": job_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatMessage:
    """A message that a client sends along."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """An accepted prompt as it is stored in its job.

    `context` is what the request said, if it did; `replace_from` a message number. A stateless turn
    has the whole conversation in `messages`, and no `prompt`. `earlier` messages enter the
    conversation in front of the prompt. `json_schema`, as JSON text, is what the reply must follow;
    `logit_bias` is added to the logits of tokens. `instructions` hold for this turn alone, in front
    of the conversation's context; unless `truncate`, a conversation that does not fit the window is
    an error. `echo` is what its API tells again; here it means nothing.
    """

    prompt: str
    context: str | None
    replace_from: int | None
    sampling: Sampling
    messages: tuple[ChatMessage, ...] = ()
    earlier: tuple[ChatMessage, ...] = ()
    json_schema: str | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()
    instructions: str | None = None
    truncate: bool = True
    echo: str = ""

    def encode(self) -> bytes:
        """Compact JSON, without what was not said."""
        fields: dict[str, Any] = {"prompt": self.prompt}
        if self.context is not None:
            fields["context"] = self.context
        if self.replace_from is not None:
            fields["replace_from"] = self.replace_from
        if self.messages:
            fields["messages"] = [(one.role, one.content) for one in self.messages]
        if self.earlier:
            fields["earlier"] = [(one.role, one.content) for one in self.earlier]
        if self.json_schema is not None:
            fields["json_schema"] = self.json_schema
        if self.logit_bias:
            fields["logit_bias"] = self.logit_bias
        if self.instructions is not None:
            fields["instructions"] = self.instructions
        if not self.truncate:
            fields["truncate"] = False
        if self.echo:
            fields["echo"] = self.echo
        return orjson.dumps(fields | self.sampling.model_dump(exclude_defaults=True))

    @classmethod
    def decode(cls, text: str | bytes) -> "TurnRequest":
        """What was stored, as far as this version knows it: a newer one may say more.

        Raises:
            ValueError, TypeError, KeyError: it cannot be read.
        """
        fields = orjson.loads(text)
        return cls(
            prompt=fields.pop("prompt"),
            context=fields.pop("context", None),
            replace_from=fields.pop("replace_from", None),
            messages=_chat_messages(fields.pop("messages", ())),
            earlier=_chat_messages(fields.pop("earlier", ())),
            json_schema=fields.pop("json_schema", None),
            logit_bias=tuple((token, bias) for token, bias in fields.pop("logit_bias", ())),
            instructions=fields.pop("instructions", None),
            truncate=fields.pop("truncate", True),
            echo=fields.pop("echo", ""),
            sampling=Sampling.model_validate(
                {name: value for name, value in fields.items() if name in Sampling.model_fields}
            ),
        )


def _chat_messages(pairs: Iterable[tuple[Role, str]]) -> tuple[ChatMessage, ...]:
    return tuple(ChatMessage(role=role, content=content) for role, content in pairs)


def rfc3339(timestamp_ms: int) -> str:
    """UTC with milliseconds, as `2026-01-31T12:00:00.000Z`."""
    moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
