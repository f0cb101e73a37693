"""Messages of an imported conversation."""

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


Time = Annotated[AwareDatetime, AfterValidator(_plausible), BeforeValidator(_text)]
"""A time as RFC 3339 writes it."""


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
        Time | None, Field(description="When it was written; now if it is left out.")
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
    pinned: Annotated[StrictBool, Field(description="Its turn is always in view.")] = False
    number: Annotated[
        Any, Field(description="Of an export; says where its alternatives belong.")
    ] = None
    job: Annotated[
        Any, Field(description="Of an export; says in which order its alternatives were sent.")
    ] = None
    tokens: Ignored = None
    alternatives: Ignored = None

    def stored(self, job_id: str, place: int, now_ms: int) -> StoredMessage:
        """As conversations store it; its tokens are counted by a worker."""
        at = now_ms if self.timestamp is None else milliseconds(self.timestamp)
        return StoredMessage(
            number=0,
            role=self.role,
            content=self.content,
            timestamp_ms=at,
            tokens=0,
            job_id=job_id,
            place=place,
            reasoning=self.reasoning,
            tool_calls=tuple(ToolCall(**call.model_dump()) for call in self.tool_calls),
            call_id=self.call_id,
            name=self.name,
            finish_reason=self.finish_reason or "",
            model_name=self.model,
            is_pinned=self.pinned,
        )


def check_order(
    messages: Sequence[ImportedMessage], before: ImportedMessage | None = None
) -> Sequence[ImportedMessage]:
    """Messages that may stand behind `before`, or begin a conversation.

    Raises:
        PydanticCustomError: one of them may not follow the one before it.
    """
    may_follow = _kinds(before)
    for place, message in enumerate(messages):
        if not set(may_follow) & set(_FOLLOWS[message.role]):
            raise PydanticCustomError(
                "alternating",
                "message {place} cannot be of role {role}: user and assistant must alternate",
                {"place": place + 1, "role": message.role},
            )
        may_follow = _kinds(message)
    return messages


def _kinds(message: ImportedMessage | None) -> tuple[str, ...]:
    """What a message is for the one behind it."""
    if message is None:
        return ("start",)
    return (message.role, "calls") if message.tool_calls else (message.role,)


def milliseconds(moment: datetime) -> int:
    """A time in milliseconds since 1970."""
    return round(moment.timestamp() * 1000)
