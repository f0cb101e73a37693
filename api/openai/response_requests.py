"""Bodies of the stateful part of OpenAI's API."""

import time
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictStr,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.openai.requests import (
    ANY_OBJECT,
    FORMAT_TYPE,
    TEXT_OR_LIST,
    Bookkeeping,
    Content,
    Metadata,
    Nothing,
    ObjectFormat,
    RequestModel,
    Schema,
    StreamOptions,
    TextFormat,
    TokenCount,
    text_of,
)
from shared.wire.messages import ChatMessage, Role, StoredMessage
from shared.wire.sampling import SharedSampling

MOST_ITEMS: Final = 1000
MOST_ADDED: Final = 20
"""Items that are added to a conversation at once, as in OpenAI's API."""


def _message_type(value: object) -> object:
    if value not in (None, "message"):
        raise PydanticCustomError(
            "item",
            "items of type {kind} are not supported, only messages",
            {"kind": repr(value)},
        )
    return "message"


class InputItem(RequestModel):
    """One message of an input: the client's own, or an output item that it sends back.

    An output item's id, status and annotations mean nothing to the model and are ignored.
    """

    model_config = ConfigDict(extra="ignore")

    type: Annotated[Literal["message"], BeforeValidator(_message_type)] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    phase: Literal["commentary", "final_answer"] | None = None

    def to_chat(self) -> ChatMessage:
        """The message with its text in one piece; a developer's becomes a system message."""
        role: Role = "system" if self.role == "developer" else self.role
        return ChatMessage(role=role, content=text_of(self.content))


class ResponseSchemaFormat(RequestModel):
    """A reply that follows a JSON schema."""

    type: Literal["json_schema"]
    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: StrictStr | None = None
    schema_: Schema
    strict: StrictBool | None = None


class TextOptions(RequestModel):
    """The reply's format."""

    format: Annotated[
        Annotated[TextFormat, Tag("<text>")]
        | Annotated[ObjectFormat, Tag("<json_object>")]
        | Annotated[ResponseSchemaFormat, Tag("<json_schema>")],
        FORMAT_TYPE,
    ] = TextFormat(type="text")
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(RequestModel):
    """No reasoning is supported, and so there is nothing to summarise."""

    effort: Literal["none"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class ConversationRef(RequestModel):
    """A conversation: its id, or an object with its id."""

    id: StrictStr

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        return {"id": data} if isinstance(data, str) else data


class ResponsesRequest(Bookkeeping, SharedSampling):
    """The body of `POST /v1/responses`. Any `model` is accepted: there is only one."""

    model: StrictStr = ""
    input: Annotated[
        Annotated[StrictStr, Tag("<text>")]
        | Annotated[
            tuple[InputItem, ...], Field(min_length=1, max_length=MOST_ITEMS), Tag("<list>")
        ],
        TEXT_OR_LIST,
    ]
    instructions: StrictStr | None = None
    previous_response_id: StrictStr | None = None
    conversation: ConversationRef | None = None
    store: StrictBool | None = None
    background: StrictBool | None = None
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Metadata | None = None
    max_output_tokens: TokenCount | None = None
    text: TextOptions = TextOptions()
    reasoning: Reasoning | None = None
    tool_choice: Literal["none", "auto"] | None = None
    max_tool_calls: TokenCount | None = None
    include: Nothing = ()
    top_logprobs: Literal[0] | None = None

    @property
    def is_stored(self) -> bool:
        return self.store is not False

    @property
    def conversation_id(self) -> str | None:
        return self.conversation.id if self.conversation is not None else None

    @model_validator(mode="after")
    def _fits_together(self) -> "ResponsesRequest":
        if self.previous_response_id is not None and self.conversation is not None:
            raise PydanticCustomError(
                "conversation", "previous_response_id and conversation exclude each other"
            )
        if not self.is_stored and (self.background or self.conversation is not None):
            raise PydanticCustomError("store", "background and conversation require store: true")
        return self

    @field_validator("input")
    @classmethod
    def _asks_for_an_answer(cls, value: str | tuple[InputItem, ...]) -> str | tuple[InputItem, ...]:
        if not isinstance(value, str):
            roles = [item.role for item in value]
            if "user" not in roles or roles[-1] == "assistant":
                raise PydanticCustomError("input", "must end with a message of the user")
        prompt = value if isinstance(value, str) else text_of(value[_prompt_index(value)].content)
        if not prompt.strip():
            raise PydanticCustomError("input", "must not be blank")
        return value

    @property
    def prompt(self) -> str:
        """The user's last message."""
        if isinstance(self.input, str):
            return self.input
        return text_of(self.input[_prompt_index(self.input)].content)

    @property
    def earlier(self) -> tuple[ChatMessage, ...]:
        """All other messages; instructions that follow the prompt are moved in front of it."""
        if isinstance(self.input, str):
            return ()
        prompt = _prompt_index(self.input)
        others = (*self.input[:prompt], *self.input[prompt + 1 :])
        return tuple(item.to_chat() for item in others)

    @property
    def json_schema(self) -> str | None:
        """The schema that the reply must follow, as JSON text."""
        format_ = self.text.format
        if isinstance(format_, ResponseSchemaFormat):
            return orjson.dumps(format_.schema_).decode()
        return ANY_OBJECT if isinstance(format_, ObjectFormat) else None

    @property
    def format(self) -> dict[str, Any]:
        """The reply's format with all its members, as a response repeats it."""
        format_ = self.text.format.model_dump(by_alias=True)
        return format_ | {"strict": bool(format_["strict"])} if "strict" in format_ else format_


def _prompt_index(items: Sequence[InputItem]) -> int:
    """The index of the user's last message."""
    return max(index for index, item in enumerate(items) if item.role == "user")


def stored_messages(batch_id: str, items: Sequence[InputItem]) -> tuple[StoredMessage, ...]:
    """Items as messages that are stored without a turn.

    Their numbers are assigned by Redis, their tokens are counted by a worker.

    Args:
        batch_id: has the form of a job id; the items' ids are made from it.
    """
    now_ms = time.time_ns() // 1_000_000
    return tuple(
        StoredMessage(
            number=0,
            role=chat.role,
            content=chat.content,
            timestamp_ms=now_ms,
            tokens=0,
            job_id=batch_id,
            place=place,
        )
        for place, chat in enumerate(item.to_chat() for item in items)
    )


class NewItems(RequestModel):
    """The body of `POST /v1/conversations/{id}/items`."""

    items: Annotated[tuple[InputItem, ...], Field(min_length=1, max_length=MOST_ADDED)]


class NewConversation(RequestModel):
    """The body of `POST /v1/conversations`."""

    metadata: Metadata | None = None
    items: Annotated[tuple[InputItem, ...], Field(max_length=MOST_ADDED)] | None = None


class ConversationUpdate(RequestModel):
    """The body of `POST /v1/conversations/{id}`."""

    metadata: Metadata | None
