"""What OpenAI's clients send to the stateful part of its API."""

from typing import Annotated, Literal

import orjson
from pydantic import (
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
    ObjectFormat,
    Schema,
    TextFormat,
    TextPart,
)
from shared.requests import Probability, Temperature


class InputMessage(Body):
    """One message of a response's input."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: StrictStr | tuple[TextPart, ...]

    @property
    def text(self) -> str:
        """Its text in one piece."""
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


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


class ConversationRef(Body):
    """A conversation by its id."""

    id: StrictStr


MetadataValue = Annotated[StrictStr, Field(max_length=512)]
MetadataName = Annotated[StrictStr, Field(max_length=64)]
Metadata = Annotated[dict[MetadataName, MetadataValue], Field(max_length=16)]


class ResponsesRequest(Bookkeeping):
    """The body of `POST /v1/responses`. `model` may be any: there is one."""

    model: StrictStr = ""
    input: StrictStr | Annotated[tuple[InputMessage, ...], Field(min_length=1, max_length=1000)]
    instructions: StrictStr | None = None
    previous_response_id: StrictStr | None = None
    conversation: StrictStr | ConversationRef | None = None
    store: StrictBool | None = None
    background: StrictBool | None = None
    stream: StrictBool | None = None
    truncation: Literal["auto", "disabled"] | None = None
    metadata: Metadata | None = None
    max_output_tokens: Annotated[StrictInt, Field(ge=1)] | None = None
    temperature: Temperature | None = None
    top_p: Probability | None = None
    text: TextOptions = TextOptions()
    tool_choice: Literal["none", "auto"] | None = None
    tools: Annotated[tuple[None, ...], Field(max_length=0)] = ()
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
    def _one_prompt(cls, said: str | tuple[InputMessage, ...]) -> str | tuple[InputMessage, ...]:
        if isinstance(said, str):
            if not said.strip():
                raise PydanticCustomError("input", "must not be blank")
            return said
        roles = [message.role for message in said]
        if roles[-1] != "user" or roles.count("user") > 1 or "assistant" in roles:
            raise PydanticCustomError(
                "input",
                "must be one message of the user, with instructions before it at most: earlier "
                "turns are named by previous_response_id or conversation",
            )
        if not said[-1].text.strip():
            raise PydanticCustomError("input", "must not be blank")
        return said

    @property
    def prompt(self) -> str:
        """What the user says."""
        return self.input if isinstance(self.input, str) else self.input[-1].text

    @property
    def all_instructions(self) -> str | None:
        """Those of the request and those in its input."""
        before = () if isinstance(self.input, str) else self.input[:-1]
        texts = [*([self.instructions] if self.instructions else []), *(one.text for one in before)]
        return "\n\n".join(texts) if texts else self.instructions

    @property
    def json_schema(self) -> str | None:
        """What the reply must follow, as JSON text."""
        form = self.text.format
        if isinstance(form, ResponseSchemaFormat):
            return orjson.dumps(form.schema_).decode()
        return ANY_OBJECT if isinstance(form, ObjectFormat) else None


class NewConversation(Body):
    """The body of `POST /v1/conversations`."""

    metadata: Metadata | None = None
    items: Annotated[tuple[None, ...], Field(max_length=0)] | None = None


class ConversationUpdate(Body):
    """The body of `POST /v1/conversations/{id}`."""

    metadata: Metadata | None
