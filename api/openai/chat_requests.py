"""The body of `POST /v1/chat/completions`."""

from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import (
    BeforeValidator,
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

from api.openai.biases import LogitBias
from api.openai.chat_messages import Message, chat_messages
from api.openai.requests import (
    ANY_OBJECT,
    FORMAT_TYPE,
    Bookkeeping,
    Content,
    Metadata,
    ModelName,
    ObjectFormat,
    RequestModel,
    Schema,
    StreamOptions,
    TextFormat,
    TokenCount,
    sampling_of,
)
from api.openai.thinking import Effort, TemplateOptions, encoded_options, thinking_of
from api.openai.tools import (
    MOST_TOOLS,
    ChatTool,
    Choice,
    Function,
    ToolChoice,
    checked_choice,
    fits_tools,
    tool_use,
    unique_names,
)
from shared.wire.sampling import AN_INTEGER, FullSampling
from shared.wire.turn_request import ToolUse, TurnRequest

MOST_MESSAGES: Final = 10_000
MOST_CHOICES: Final = 8
MOST_LOGPROBS: Final = 20
_SEEDS: Final = 2**53


class Prediction(RequestModel):
    """What a client expects of the reply; the reply is the same with or without it."""

    type: Literal["content"]
    content: Content


class JsonSchema(RequestModel):
    """A schema that the reply must follow."""

    name: Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: StrictStr | None = None
    schema_: Schema
    strict: StrictBool | None = None


class SchemaFormat(RequestModel):
    """A reply that follows a JSON schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


def _function_call(value: object) -> object:
    """The older form of a choice, in the newer one's words."""
    if isinstance(value, dict) and "type" not in value:
        return {"type": "function", "function": value}
    return value


class ChatCompletionRequest(Bookkeeping, FullSampling):
    """The body of `POST /v1/chat/completions`.

    The sampling options are those of `POST /`; a seed may be any integer of 64 bits.
    """

    model: ModelName = ""
    messages: Annotated[tuple[Message, ...], Field(min_length=1, max_length=MOST_MESSAGES)]
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    max_completion_tokens: TokenCount | None = None
    seed: Annotated[StrictInt, Field(ge=-(2**63), le=2**63 - 1), AN_INTEGER] | None = None
    response_format: (
        Annotated[
            Annotated[TextFormat, Tag("<text>")]
            | Annotated[ObjectFormat, Tag("<json_object>")]
            | Annotated[SchemaFormat, Tag("<json_schema>")],
            FORMAT_TYPE,
        ]
        | None
    ) = None
    logit_bias: LogitBias = ()
    n: Annotated[StrictInt, Field(ge=1, le=MOST_CHOICES), AN_INTEGER] | None = None
    logprobs: StrictBool | None = None
    top_logprobs: Annotated[StrictInt, Field(ge=0, le=MOST_LOGPROBS), AN_INTEGER] | None = None
    reasoning_effort: Effort | None = None
    chat_template_kwargs: TemplateOptions | None = None
    store: StrictBool | None = None
    metadata: Metadata | None = None
    modalities: tuple[Literal["text"], ...] | None = None
    parallel_tool_calls: StrictBool | None = None
    tools: Annotated[tuple[ChatTool, ...], Field(max_length=MOST_TOOLS)] = ()
    tool_choice: Choice | None = None
    functions: Annotated[tuple[Function, ...], Field(max_length=MOST_TOOLS)] = ()
    function_call: Annotated[Choice, BeforeValidator(_function_call)] | None = None
    verbosity: Literal["low", "medium", "high"] | None = None
    prediction: Prediction | None = None

    @field_validator("top_logprobs")
    @classmethod
    def _needs_logprobs(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value and not info.data.get("logprobs"):
            raise PydanticCustomError("top_logprobs", "needs logprobs: true")
        return value

    @field_validator("tools")
    @classmethod
    def _tools_differ(cls, tools: tuple[ChatTool, ...]) -> tuple[ChatTool, ...]:
        unique_names([tool.function for tool in tools])
        return tools

    @field_validator("tool_choice")
    @classmethod
    def _chooses_a_tool(cls, choice: ToolChoice | None, info: ValidationInfo) -> ToolChoice | None:
        return checked_choice(choice, info)

    @field_validator("functions")
    @classmethod
    def _functions_alone(
        cls, functions: tuple[Function, ...], info: ValidationInfo
    ) -> tuple[Function, ...]:
        if functions and info.data.get("tools"):
            raise PydanticCustomError("functions", "tools and functions exclude each other")
        unique_names(functions)
        return functions

    @field_validator("function_call")
    @classmethod
    def _chooses_a_function(
        cls, choice: ToolChoice | None, info: ValidationInfo
    ) -> ToolChoice | None:
        return fits_tools(choice, [tool.to_tool() for tool in info.data.get("functions", ())])

    @model_validator(mode="after")
    def _one_limit(self) -> "ChatCompletionRequest":
        limits = {self.max_tokens, self.max_completion_tokens} - {None}
        if len(limits) > 1:
            raise PydanticCustomError(
                "max_tokens", "max_tokens and max_completion_tokens mean the same: send only one"
            )
        return self

    @model_validator(mode="after")
    def _can_be_continued(self) -> "ChatCompletionRequest":
        """A reply that was begun can only be gone on with where its whole is free."""
        last = self.messages[-1]
        if last.role != "assistant":
            return self
        if last.tool_calls or last.function_call is not None:
            raise PydanticCustomError("messages", "must not end with calls without their results")
        if self.json_schema is not None:
            raise PydanticCustomError(
                "messages", "a reply in a response_format cannot be begun by the client"
            )
        if self.tool_use.choice not in ("auto", "none"):
            raise PydanticCustomError(
                "messages", "a reply that must call a tool cannot be begun by the client"
            )
        return self

    @property
    def is_legacy(self) -> bool:
        """Whether the client knows `functions`, but no tools."""
        return bool(self.functions)

    @property
    def tool_use(self) -> ToolUse:
        """The tools of the turn; the older `functions` are called one at a time."""
        if self.is_legacy:
            tools = [function.to_tool() for function in self.functions]
            return tool_use(tools, self.function_call, parallel=False)
        tools = [tool.function.to_tool() for tool in self.tools]
        return tool_use(tools, self.tool_choice, parallel=self.parallel_tool_calls)

    @property
    def json_schema(self) -> str | None:
        """The schema that the reply must follow, as JSON text."""
        if isinstance(self.response_format, SchemaFormat):
            return orjson.dumps(self.response_format.json_schema.schema_).decode()
        return ANY_OBJECT if isinstance(self.response_format, ObjectFormat) else None


def turn_requests(request: ChatCompletionRequest, max_tokens_limit: int) -> tuple[TurnRequest, ...]:
    """What workers are to do, a turn for each choice.

    A reply longer than this server allows is cut to that length. With a seed, each choice has its
    own: they would be the same otherwise.
    """
    return tuple(
        _turn_request(request, max_tokens_limit, number) for number in range(request.n or 1)
    )


def _turn_request(
    request: ChatCompletionRequest, max_tokens_limit: int, number: int
) -> TurnRequest:
    max_tokens = request.max_tokens or request.max_completion_tokens
    seed = None if request.seed is None else (request.seed + number) % _SEEDS
    options: dict[str, Any] | None = request.chat_template_kwargs
    return TurnRequest(
        prompt="",
        context=None,
        replace_from=None,
        sampling=sampling_of(request, max_tokens, max_tokens_limit, seed=seed),
        messages=chat_messages(request.messages),
        json_schema=request.json_schema,
        logit_bias=request.logit_bias,
        tool_use=request.tool_use,
        thinking=thinking_of(request.reasoning_effort, options),
        template_options=encoded_options(options),
        top_logprobs=(request.top_logprobs or 0) if request.logprobs else None,
    )
