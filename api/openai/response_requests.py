"""Bodies of `/v1/responses`."""

from collections.abc import Sequence
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

import orjson
from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.openai.chat_requests import MOST_LOGPROBS
from api.openai.input_items import AnyItem, ItemList, messages_of
from api.openai.requests import (
    ANY_OBJECT,
    FORMAT_TYPE,
    TEXT_OR_LIST,
    Bookkeeping,
    Metadata,
    ModelName,
    ObjectFormat,
    RequestModel,
    Schema,
    StreamOptions,
    TextFormat,
    TokenCount,
)
from api.openai.thinking import Effort, TemplateOptions, thinking_of
from api.openai.tools import (
    MOST_TOOLS,
    Choice,
    ResponseTool,
    ToolChoice,
    checked_choice,
    tool_use,
    unique_names,
)
from shared.wire.messages import ChatMessage
from shared.wire.sampling import AN_INTEGER, SharedSampling
from shared.wire.turn_request import Thinking, ToolUse

ENCRYPTED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
Includable = Literal["reasoning.encrypted_content", "message.output_text.logprobs"]
Summary = Literal["auto", "concise", "detailed"]
MOST_ITEMS: Final = 1000


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
    """How much the model thinks, and whether its thought is shown as a summary, too.

    Which earlier thoughts it sees is up to its template.
    """

    effort: Effort | None = None
    summary: Summary | None = None
    context: Literal["auto"] | None = None
    mode: Literal["standard"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _older_name(cls, data: Any) -> Any:
        if isinstance(data, dict) and data.get("summary") is None and "generate_summary" in data:
            return {**data, "summary": data["generate_summary"], "generate_summary": None}
        return data


class BackgroundOptions(RequestModel):
    """When a response in the background is made: always as soon as possible."""

    completion_window: Literal["soonest"] | None = None


class ConversationRef(RequestModel):
    """A conversation: its id, or an object with its id."""

    id: StrictStr

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, data: Any) -> Any:
        return {"id": data} if isinstance(data, str) else data


class ResponseInput(RequestModel):
    """What a response answers, and what the model can use for it."""

    model: ModelName = ""
    input: Annotated[
        Annotated[StrictStr, Tag("<text>")]
        | Annotated[ItemList, Field(max_length=MOST_ITEMS), Tag("<list>")],
        TEXT_OR_LIST,
    ]
    instructions: StrictStr | None = None
    previous_response_id: StrictStr | None = None
    truncation: Literal["auto", "disabled"] | None = None
    text: TextOptions = TextOptions()
    reasoning: Reasoning | None = None
    chat_template_kwargs: TemplateOptions | None = None
    parallel_tool_calls: StrictBool | None = None
    tools: Annotated[tuple[ResponseTool, ...], Field(max_length=MOST_TOOLS)] = ()
    tool_choice: Choice | None = None

    @field_validator("tools")
    @classmethod
    def _tools_differ(cls, tools: tuple[ResponseTool, ...]) -> tuple[ResponseTool, ...]:
        unique_names([tool.function for tool in tools])
        return tools

    @field_validator("tool_choice")
    @classmethod
    def _chooses_a_tool(cls, choice: ToolChoice | None, info: ValidationInfo) -> ToolChoice | None:
        return checked_choice(choice, info)

    @field_validator("input")
    @classmethod
    def _asks_for_an_answer(cls, value: str | tuple[AnyItem, ...]) -> str | tuple[AnyItem, ...]:
        messages = messages_of_input(value)
        prompt = _prompt_index(messages)
        if prompt is None or any(message.role == "assistant" for message in messages[prompt:]):
            raise PydanticCustomError(
                "input", "must end with a message of the user or the result of a call"
            )
        if messages[prompt].role == "user" and not messages[prompt].content.strip():
            raise PydanticCustomError("input", "must not be blank")
        return value

    @cached_property
    def _messages(self) -> tuple[tuple[ChatMessage, ...], ChatMessage]:
        """All messages but the prompt, and the prompt."""
        messages = messages_of_input(self.input)
        prompt = _prompt_index(messages) or 0
        return (*messages[:prompt], *messages[prompt + 1 :]), messages[prompt]

    @property
    def prompt(self) -> ChatMessage:
        """The last message of the user, or the last result of a call."""
        return self._messages[1]

    @property
    def earlier(self) -> tuple[ChatMessage, ...]:
        """All other messages; instructions that follow the prompt are moved in front of it."""
        return self._messages[0]

    @property
    def tool_use(self) -> ToolUse:
        """The tools of the turn."""
        tools = [tool.function.to_tool() for tool in self.tools]
        return tool_use(tools, self.tool_choice, parallel=self.parallel_tool_calls)

    @property
    def thinking(self) -> Thinking:
        """How much the model is to think."""
        effort = self.reasoning.effort if self.reasoning is not None else None
        return thinking_of(effort, self.chat_template_kwargs)

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


class ContinuingInput(ResponseInput):
    """An input that may come behind what is stored: a response or a conversation."""

    conversation: ConversationRef | None = None

    @property
    def conversation_id(self) -> str | None:
        return self.conversation.id if self.conversation is not None else None

    @model_validator(mode="after")
    def _comes_behind_one(self) -> Self:
        if self.previous_response_id is not None and self.conversation is not None:
            raise PydanticCustomError(
                "conversation", "previous_response_id and conversation exclude each other"
            )
        return self


class ResponsesRequest(ContinuingInput, Bookkeeping, SharedSampling):
    """The body of `POST /v1/responses`. Any `model` is accepted: there is only one."""

    store: StrictBool | None = None
    background: StrictBool | None = None
    background_options: BackgroundOptions | None = None
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    metadata: Metadata | None = None
    max_output_tokens: TokenCount | None = None
    max_tool_calls: TokenCount | None = None
    include: tuple[Includable, ...] = ()
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=MOST_LOGPROBS), AN_INTEGER] | None = None

    @property
    def is_stored(self) -> bool:
        return self.store is not False

    @property
    def alternatives(self) -> int | None:
        """Alternatives reported for each token; None reports no probabilities."""
        if LOGPROBS in self.include or self.top_logprobs:
            return self.top_logprobs or 0
        return None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if not self.is_stored and (self.background or self.conversation is not None):
            raise PydanticCustomError("store", "background and conversation require store: true")
        return self


class InputTokensRequest(ContinuingInput):
    """The body of `POST /v1/responses/input_tokens`."""


def messages_of_input(value: str | Sequence[AnyItem]) -> tuple[ChatMessage, ...]:
    """An input as messages."""
    if isinstance(value, str):
        return (ChatMessage(role="user", content=value),)
    return messages_of(value)


def _prompt_index(messages: Sequence[ChatMessage]) -> int | None:
    """The index of the last message of the user, or of the last result of a call."""
    indices = [index for index, each in enumerate(messages) if each.role in ("user", "tool")]
    return indices[-1] if indices else None
