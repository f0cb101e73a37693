"""From Anthropic's requests to what a worker is to do."""

from dataclasses import replace
from typing import Any, Final

import orjson

from api.anthropic.blocks import text_of
from api.anthropic.conversation import chat_messages
from api.anthropic.requests import (
    AnthropicTool,
    AnyChoice,
    CountTokensRequest,
    MessagesRequest,
    NoChoice,
    OutputConfig,
    ThinkingOff,
    ThinkingOn,
    ToolChoice,
)
from api.http.incoming import parse
from shared.wire.parts import Tool
from shared.wire.sampling import Sampling
from shared.wire.turn_request import ANY_TOOL, NO_TOOLS, Thinking, ToolUse, TurnRequest

_LOW_BELOW: Final = 4096
_MEDIUM_BELOW: Final = 16_384
_EFFORTS: Final[dict[str, Thinking]] = {"low": "low", "medium": "medium"}


def turn_of(request: MessagesRequest, max_tokens_limit: int) -> TurnRequest:
    """The turn that answers a conversation.

    Args:
        max_tokens_limit: a longer reply is cut to this length.
    """
    options: dict[str, Any] = {
        "max_tokens": min(request.max_tokens, max_tokens_limit),
        "temperature": request.temperature,
        "top_p": request.top_p,
        "top_k": request.top_k,
        "stop": request.stop_sequences or None,
    }
    sampling = {name: value for name, value in options.items() if value is not None}
    turn = _turn(request, parse(Sampling, sampling), counts_only=False)
    return replace(turn, longest_thought=_longest_thought(request, options["max_tokens"]))


def _longest_thought(request: MessagesRequest, max_tokens: int) -> int | None:
    """The thought's budget; it leaves room for an answer in a reply that is cut."""
    if not isinstance(request.thinking, ThinkingOn):
        return None
    budget = request.thinking.budget_tokens
    return budget if budget < max_tokens else max(1, max_tokens // 2)


def counting_turn_of(request: CountTokensRequest) -> TurnRequest:
    """The turn that only counts the tokens of a conversation."""
    return _turn(request, Sampling(max_tokens=1), counts_only=True)


def _turn(request: CountTokensRequest, sampling: Sampling, *, counts_only: bool) -> TurnRequest:
    output = request.output_config or OutputConfig()
    schema = None
    if output.format is not None:
        schema = orjson.dumps(output.format.schema_).decode()
    return TurnRequest(
        prompt="",
        context=None,
        replace_from=None,
        sampling=sampling,
        messages=chat_messages(text_of(request.system), request.messages),
        counts_only=counts_only,
        json_schema=schema,
        tool_use=_tool_use(request),
        thinking=_thinking(request, output),
    )


def _tool_use(request: CountTokensRequest) -> ToolUse:
    choice = request.tool_choice
    wanted = "auto"
    if isinstance(choice, NoChoice):
        wanted = "none"
    elif isinstance(choice, AnyChoice):
        wanted = ANY_TOOL
    elif isinstance(choice, ToolChoice):
        wanted = ToolUse.choice_of(choice.name)
    if not request.tools:
        return NO_TOOLS
    is_single = getattr(choice, "disable_parallel_tool_use", False)
    return ToolUse(tools=tuple(map(_tool, request.tools)), choice=wanted, parallel=not is_single)


def _tool(tool: AnthropicTool) -> Tool:
    return Tool(
        name=tool.name,
        description=tool.description,
        parameters=orjson.dumps(tool.input_schema).decode(),
        strict=tool.strict,
    )


def _thinking(request: CountTokensRequest, output: OutputConfig) -> Thinking:
    """How much the model is to think, in the degrees that chat templates know.

    A larger budget is a higher degree.
    """
    if isinstance(request.thinking, ThinkingOff):
        return "off"
    if output.effort is not None:
        return _EFFORTS.get(output.effort, "high")
    if isinstance(request.thinking, ThinkingOn):
        budget = request.thinking.budget_tokens
        return "low" if budget < _LOW_BELOW else "medium" if budget < _MEDIUM_BELOW else "high"
    return "auto"
