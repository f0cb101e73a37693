"""What OpenAI's clients send to the stateful part of its API."""

from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.openai.requests import (
    ANY_OBJECT,
    Body,
    Bookkeeping,
    Content,
    ObjectFormat,
    Schema,
    StreamOptions,
    TextFormat,
    text_of,
)
from shared.requests import Penalty, Probability, Temperature
from shared.schema import ChatMessage, Role

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
        return ChatMessage(role, text_of(self.content))


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
        TextFormat | ObjectFormat | ResponseSchemaFormat, Field(discriminator="type")
    ] = TextFormat(type="text")
    verbosity: Literal["low", "medium", "high"] | None = None


class Reasoning(Body):
    """How much is to be thought: nothing; then there is nothing to summarise either."""

    effort: Literal["none"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class ConversationRef(Body):
    """A conversation by its id."""

    id: StrictStr


MetadataValue = Annotated[StrictStr, Field(max_length=512)]
MetadataName = Annotated[StrictStr, Field(max_length=64)]
Metadata = Annotated[dict[MetadataName, MetadataValue], Field(max_length=16)]


class ResponsesRequest(Bookkeeping):
    """The body of `POST /v1/responses`. `model` may be any: there is one."""

    model: StrictStr = ""
    input: StrictStr | Annotated[tuple[InputItem, ...], Field(min_length=1, max_length=MOST_ITEMS)]
    instructions: StrictStr | None = None
    previous_response_id: StrictStr | None = None
    conversation: StrictStr | ConversationRef | None = None
    store: StrictBool | None = None
    background: StrictBool | None = None
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Metadata | None = None
    max_output_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    text: TextOptions = TextOptions()
    reasoning: Reasoning | None = None
    tool_choice: Literal["none", "auto"] | None = None
    max_tool_calls: Annotated[StrictInt, Field(ge=1)] | None = None
    top_logprobs: Literal[0] | None = None
    ignore_eos: StrictBool = False

    @property
    def is_stored(self) -> bool:
        return self.store is not False

    @property
    def conversation_id(self) -> str | None:
        named = self.conversation
        return named.id if isinstance(named, ConversationRef) else named

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
    def _ends_with_a_prompt(cls, value: str | tuple[InputItem, ...]) -> str | tuple[InputItem, ...]:
        if not isinstance(value, str) and value[-1].role != "user":
            raise PydanticCustomError("input", "the last item must be a message of the user")
        prompt = value if isinstance(value, str) else text_of(value[-1].content)
        if not prompt.strip():
            raise PydanticCustomError("input", "must not be blank")
        return value

    @property
    def prompt(self) -> str:
        """What the user says."""
        return self.input if isinstance(self.input, str) else text_of(self.input[-1].content)

    @property
    def earlier(self) -> tuple[ChatMessage, ...]:
        """The messages in front of the prompt."""
        return () if isinstance(self.input, str) else tuple(i.to_chat() for i in self.input[:-1])

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
