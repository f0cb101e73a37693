"""What OpenAI's clients send to the stateful part of its API."""

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
    Body,
    Bookkeeping,
    Content,
    Metadata,
    Nothing,
    ObjectFormat,
    Schema,
    StreamOptions,
    TextFormat,
    TokenCount,
    text_of,
)
from shared.wire.messages import Role, StoredMessage
from shared.wire.sampling import SharedSampling
from shared.wire.turn_request import ChatMessage

MOST_ITEMS: Final = 1000
MOST_ADDED: Final = 20
"""Items that are added to a conversation at once, as in OpenAI's API."""


def _message_type(value: object) -> object:
    if value not in (None, "message"):
        raise PydanticCustomError(
            "item", "items of type {kind} are not supported: messages are", {"kind": repr(value)}
        )
    return "message"


class InputItem(Body):
    """One message of an input: what a client says, or an output item that it sends back.

    An output item's id, status and annotations say nothing to the model and are passed over.
    """

    model_config = ConfigDict(extra="ignore")

    type: Annotated[Literal["message"], BeforeValidator(_message_type)] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: Content
    phase: Literal["commentary", "final_answer"] | None = None

    def to_chat(self) -> ChatMessage:
        """With its text in one piece; a developer's is a system message."""
        role: Role = "system" if self.role == "developer" else self.role
        return ChatMessage(role=role, content=text_of(self.content))


class ResponseSchemaFormat(Body):
    """A reply that follows a JSON schema."""

    type: Literal["json_schema"]
    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: StrictStr | None = None
    schema_: Schema
    strict: StrictBool | None = None


class TextOptions(Body):
    """The reply's form."""

    format: Annotated[
        Annotated[TextFormat, Tag("<text>")]
        | Annotated[ObjectFormat, Tag("<json_object>")]
        | Annotated[ResponseSchemaFormat, Tag("<json_schema>")],
        FORMAT_TYPE,
    ] = TextFormat(type="text")
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(Body):
    """How much is to be thought: nothing; then there is nothing to summarise either."""

    effort: Literal["none"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class ConversationRef(Body):
    """A conversation by its id, which may stand by itself."""

    id: StrictStr

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        return {"id": data} if isinstance(data, str) else data


class ResponsesRequest(Bookkeeping, SharedSampling):
    """The body of `POST /v1/responses`. `model` may be any: there is one."""

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
            raise PydanticCustomError("store", "background and conversation need store to be true")
        return self

    @field_validator("input")
    @classmethod
    def _asks_for_an_answer(cls, value: str | tuple[InputItem, ...]) -> str | tuple[InputItem, ...]:
        if not isinstance(value, str):
            roles = [one.role for one in value]
            if "user" not in roles or roles[-1] == "assistant":
                raise PydanticCustomError("input", "must end with a message of the user")
        prompt = value if isinstance(value, str) else text_of(value[_prompt_of(value)].content)
        if not prompt.strip():
            raise PydanticCustomError("input", "must not be blank")
        return value

    @property
    def prompt(self) -> str:
        """What the user says last."""
        said = self.input
        return said if isinstance(said, str) else text_of(said[_prompt_of(said)].content)

    @property
    def earlier(self) -> tuple[ChatMessage, ...]:
        """All other messages; instructions behind the prompt stand in front of it as well."""
        if isinstance(self.input, str):
            return ()
        at = _prompt_of(self.input)
        return tuple(one.to_chat() for one in (*self.input[:at], *self.input[at + 1 :]))

    @property
    def json_schema(self) -> str | None:
        """What the reply must follow, as JSON text."""
        form = self.text.format
        if isinstance(form, ResponseSchemaFormat):
            return orjson.dumps(form.schema_).decode()
        return ANY_OBJECT if isinstance(form, ObjectFormat) else None

    @property
    def format(self) -> dict[str, Any]:
        """The reply's form with all its members."""
        form = self.text.format.model_dump(by_alias=True)
        return form | {"strict": bool(form["strict"])} if "strict" in form else form


def _prompt_of(items: Sequence[InputItem]) -> int:
    """Where the last message of the user stands."""
    return max(at for at, one in enumerate(items) if one.role == "user")


def brought_along(batch: str, items: Sequence[InputItem]) -> tuple[StoredMessage, ...]:
    """Items to be stored without a turn; where they will stand is not known yet.

    How many tokens they are is not known either: that is the workers' to say.

    Args:
        batch: an id as of a job, by which their own are made.
    """
    now_ms = time.time_ns() // 1_000_000
    return tuple(
        StoredMessage(
            number=0,
            role=chat.role,
            content=chat.content,
            timestamp_ms=now_ms,
            tokens=0,
            job_id=batch,
            place=place,
        )
        for place, chat in enumerate(one.to_chat() for one in items)
    )


class NewItems(Body):
    """The body of `POST /v1/conversations/{id}/items`."""

    items: Annotated[tuple[InputItem, ...], Field(min_length=1, max_length=MOST_ADDED)]


class NewConversation(Body):
    """The body of `POST /v1/conversations`."""

    metadata: Metadata | None = None
    items: Annotated[tuple[InputItem, ...], Field(max_length=MOST_ADDED)] | None = None


class ConversationUpdate(Body):
    """The body of `POST /v1/conversations/{id}`."""

    metadata: Metadata | None
