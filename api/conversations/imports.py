"""The body of `POST /conversations`: an empty conversation, or one that was exported before."""

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
)
from pydantic_core import PydanticCustomError

from api.conversations.bodies import Metadata, Title, encoded
from shared.wire.beginning import Beginning
from shared.wire.messages import StoredMessage
from shared.wire.parts import ToolCall
from shared.wire.reply import FinishReason

_FOLLOWS: Final = {
    "user": ("start", "assistant", "tool"),
    "assistant": ("user", "tool"),
    "tool": ("calls", "tool"),
}
"""What a message of a role may stand behind; `calls` is a reply that calls tools."""
_YEARS: Final = range(1971, 9998)
"""Of times that can be told in any time zone, in milliseconds since 1970."""
_IGNORED: Final = "Of an export; ignored."

Ignored = Annotated[Any, Field(description=_IGNORED)]


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise PydanticCustomError("time", "must be a time as RFC 3339 writes it")
    return value


def _plausible(moment: datetime) -> datetime:
    if moment.year not in _YEARS:
        raise PydanticCustomError(
            "time", f"must be of a year from {_YEARS.start} to {_YEARS.stop - 1}"
        )
    return moment


class ImportedCall(BaseModel):
    """A call of a tool in an imported reply."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[StrictStr, Field(max_length=200, description="Names the call.")]
    name: Annotated[StrictStr, Field(max_length=200, description="The tool.")]
    arguments: Annotated[StrictStr, Field(description="JSON text, as the model wrote it.")]


class ImportedMessage(BaseModel):
    """A message as `GET /conversations/{id}/messages` gives it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Annotated[
        Literal["user", "assistant", "tool"], Field(description="User and assistant alternate.")
    ]
    content: Annotated[StrictStr, Field(description="Its text.")]
    timestamp: Annotated[
        AwareDatetime | None,
        AfterValidator(_plausible),
        BeforeValidator(_text),
        Field(description="When it was written; now if it is left out."),
    ] = None
    reasoning: Annotated[StrictStr, Field(description="What the model thought.")] = ""
    tool_calls: Annotated[
        tuple[ImportedCall, ...], Field(description="Tools that the reply calls.")
    ] = ()
    call_id: Annotated[
        StrictStr, Field(description="Of a tool's result: the call that it answers.")
    ] = ""
    name: Annotated[StrictStr, Field(description="Of a tool's result: the tool.")] = ""
    finish_reason: Annotated[FinishReason | None, Field(description="Why the reply ended.")] = None
    model: Annotated[
        StrictStr, Field(max_length=200, description="The model that wrote the reply.")
    ] = ""
    number: Ignored = None
    tokens: Ignored = None
    job: Ignored = None
    alternatives: Ignored = None

    def stored(self, batch_id: str, place: int, now_ms: int) -> StoredMessage:
        """As conversations store it; its tokens are counted by a worker."""
        at = now_ms if self.timestamp is None else round(self.timestamp.timestamp() * 1000)
        return StoredMessage(
            number=0,
            role=self.role,
            content=self.content,
            timestamp_ms=at,
            tokens=0,
            job_id=batch_id,
            place=place,
            reasoning=self.reasoning,
            tool_calls=tuple(ToolCall(**call.model_dump()) for call in self.tool_calls),
            call_id=self.call_id,
            name=self.name,
            finish_reason=self.finish_reason or "",
            model_name=self.model,
        )


def _alternating(messages: Sequence[ImportedMessage]) -> Sequence[ImportedMessage]:
    before: tuple[str, ...] = ("start",)
    for place, message in enumerate(messages):
        if not set(before) & set(_FOLLOWS[message.role]):
            raise PydanticCustomError(
                "alternating",
                "message {place} cannot be of role {role}: user and assistant must alternate",
                {"place": place + 1, "role": message.role},
            )
        before = (message.role, "calls") if message.tool_calls else (message.role,)
    return messages


class ConversationStart(BaseModel):
    """The body of `POST /conversations`.

    A conversation as `GET /conversations/{id}` gives it, with its messages, is accepted as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    context: Annotated[
        StrictStr | None,
        Field(description="The bot's instructions. Without them: `PALAVER_DEFAULT_CONTEXT`."),
    ] = None
    title: Annotated[
        Title | None,
        Field(description="Without one it is the beginning of the first prompt."),
    ] = None
    model: Annotated[
        StrictStr | None,
        Field(
            max_length=200,
            description="Which model replies. Without messages an unknown one is refused; with "
            "messages the usual one takes its place.",
        ),
    ] = None
    metadata: Annotated[Metadata | None, Field(description="Names with texts.")] = None
    pinned: Annotated[StrictBool, Field(description="Lists show it.")] = False
    messages: Annotated[
        tuple[ImportedMessage, ...],
        AfterValidator(_alternating),
        Field(description="An imported conversation, oldest first: the first is of role user."),
    ] = ()
    id: Ignored = None
    created_at: Ignored = None
    updated_at: Ignored = None
    turns: Ignored = None
    tokens: Ignored = None
    window: Ignored = None
    pending: Ignored = None
    memory: Ignored = None
    next: Ignored = None

    def beginning(self, batch_id: str, default_context: str) -> Beginning:
        """As the store takes it.

        Args:
            default_context: instructions of a conversation that was sent without any.
        """
        now_ms = time.time_ns() // 1_000_000
        return Beginning(
            batch_id=batch_id,
            metadata=encoded(self.metadata),
            messages=tuple(
                message.stored(batch_id, place, now_ms)
                for place, message in enumerate(self.messages)
            ),
            context=default_context if self.context is None else self.context,
            title=self.title or "",
            is_pinned=self.pinned,
            model_name=self.model or "",
        )
