"""What Anthropic's clients send, as far as it is supported; everything else is refused by name."""

from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from api.anthropic.blocks import Block, CacheControl, Text, block_type
from api.openai.chat_requests import MOST_MESSAGES
from api.openai.requests import TEXT_OR_LIST, ModelName, RequestModel, bounded_schema
from shared.wire.sampling import AN_INTEGER, Probability, StopString, Temperature

_MOST_TOOLS: Final = 128
_MOST_BLOCKS: Final = 10_000
_SHORTEST_THOUGHT: Final = 1024

Name = Annotated[StrictStr, Field(min_length=1, max_length=128)]


class AnthropicMessage(RequestModel):
    """One message of the conversation; neighbours of one role count as one turn."""

    role: Literal["user", "assistant", "system"]
    content: Annotated[
        Annotated[StrictStr, Tag("<text>")]
        | Annotated[Annotated[tuple[Block, ...], Field(max_length=_MOST_BLOCKS)], Tag("<list>")],
        TEXT_OR_LIST,
    ]


Schema = Annotated[dict[str, Any], AfterValidator(bounded_schema)]


class AnthropicTool(RequestModel):
    """A tool of the client. Tools that Anthropic's servers run are refused by their type."""

    name: Name
    description: StrictStr = ""
    input_schema: Schema
    type: Literal["custom"] | None = None
    strict: StrictBool = False
    cache_control: CacheControl = None
    eager_input_streaming: StrictBool | None = None
    defer_loading: Literal[False] | None = None
    allowed_callers: tuple[Literal["direct"], ...] | None = None


class AutoChoice(RequestModel):
    """The model decides whether it calls tools."""

    type: Literal["auto"]
    disable_parallel_tool_use: StrictBool = False


class AnyChoice(RequestModel):
    """At least one tool must be called."""

    type: Literal["any"]
    disable_parallel_tool_use: StrictBool = False


class ToolChoice(RequestModel):
    """This tool must be called."""

    type: Literal["tool"]
    name: StrictStr
    disable_parallel_tool_use: StrictBool = False


class NoChoice(RequestModel):
    """No tool may be called."""

    type: Literal["none"]


_CHOICE: Final = Discriminator(
    block_type,
    custom_error_type="tool_choice",
    custom_error_message="its type must be auto, any, tool or none",
)
Display = Literal["summarized", "omitted"]


class ThinkingOn(RequestModel):
    """The model thinks before it answers."""

    type: Literal["enabled"]
    budget_tokens: Annotated[StrictInt, Field(ge=_SHORTEST_THOUGHT), AN_INTEGER]
    display: Display | None = None


class ThinkingAdaptive(RequestModel):
    """The model decides how much it thinks."""

    type: Literal["adaptive"]
    display: Display | None = None


class ThinkingOff(RequestModel):
    """The model answers at once."""

    type: Literal["disabled"]


_THINKING: Final = Discriminator(
    block_type,
    custom_error_type="thinking",
    custom_error_message="its type must be enabled, disabled or adaptive",
)


class SchemaOutput(RequestModel):
    """The reply is JSON that follows a schema."""

    type: Literal["json_schema"]
    schema_: Annotated[Schema, Field(alias="schema")]


class OutputConfig(RequestModel):
    """The form of the reply, and how much effort goes into it."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: SchemaOutput | None = None


class AnthropicMetadata(RequestModel):
    """For the client's own use."""

    user_id: StrictStr | None = None


class CountTokensRequest(RequestModel):
    """The body of `POST /v1/messages/count_tokens`: what decides how long the prompt is."""

    model: ModelName = ""
    messages: Annotated[tuple[AnthropicMessage, ...], Field(min_length=1, max_length=MOST_MESSAGES)]
    system: Text = ""
    tools: Annotated[tuple[AnthropicTool, ...], Field(max_length=_MOST_TOOLS)] = ()
    tool_choice: (
        Annotated[
            Annotated[AutoChoice, Tag("<auto>")]
            | Annotated[AnyChoice, Tag("<any>")]
            | Annotated[ToolChoice, Tag("<tool>")]
            | Annotated[NoChoice, Tag("<none>")],
            _CHOICE,
        ]
        | None
    ) = None
    thinking: (
        Annotated[
            Annotated[ThinkingOn, Tag("<enabled>")]
            | Annotated[ThinkingAdaptive, Tag("<adaptive>")]
            | Annotated[ThinkingOff, Tag("<disabled>")],
            _THINKING,
        ]
        | None
    ) = None
    output_config: OutputConfig | None = None
    speed: Literal["standard"] | None = None
    cache_control: CacheControl = None

    @field_validator("tools")
    @classmethod
    def _one_of_each_name(cls, tools: tuple[AnthropicTool, ...]) -> tuple[AnthropicTool, ...]:
        if len({tool.name for tool in tools}) < len(tools):
            raise PydanticCustomError("tools", "two tools have the same name")
        return tools

    @model_validator(mode="after")
    def _choice_is_possible(self) -> "CountTokensRequest":
        choice = self.tool_choice
        if isinstance(choice, ToolChoice) and choice.name not in {t.name for t in self.tools}:
            raise PydanticCustomError("tool_choice", "tool_choice names none of the tools")
        if isinstance(choice, AnyChoice) and not self.tools:
            raise PydanticCustomError("tool_choice", "tool_choice any needs tools")
        return self


class MessagesRequest(CountTokensRequest):
    """The body of `POST /v1/messages`."""

    max_tokens: Annotated[StrictInt, Field(ge=1), AN_INTEGER]
    stream: StrictBool | None = None
    stop_sequences: Annotated[tuple[StopString, ...], Field(max_length=8)] = ()
    temperature: Temperature | None = None
    top_p: Probability | None = None
    top_k: Annotated[StrictInt, Field(ge=0, le=2**31 - 1), AN_INTEGER] | None = None
    metadata: AnthropicMetadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    inference_geo: Literal["global"] | None = None

    @model_validator(mode="after")
    def _leaves_room_for_an_answer(self) -> "MessagesRequest":
        thinking = self.thinking
        if isinstance(thinking, ThinkingOn) and thinking.budget_tokens >= self.max_tokens:
            raise PydanticCustomError(
                "thinking", "max_tokens must be greater than thinking.budget_tokens"
            )
        return self
