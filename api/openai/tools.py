"""Tools as OpenAI's clients describe them, and which of them a reply may call."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import orjson
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from api.openai.requests import RequestModel, bounded_schema, shortened
from shared.wire.parts import Tool
from shared.wire.turn_request import NO_TOOLS, ToolUse

MOST_TOOLS: Final = 128
_NO_PARAMETERS: Final[dict[str, Any]] = {"type": "object", "properties": {}}
_MODES: Final = ("none", "auto", "required")


def _function_type(value: object) -> object:
    if value != "function":
        raise PydanticCustomError(
            "tool", "{kind} is not supported, only functions are", {"kind": shortened(value)}
        )
    return value


FunctionType = Annotated[Literal["function"], BeforeValidator(_function_type)]
FunctionName = Annotated[StrictStr, Field(pattern=r"^[A-Za-z0-9_.-]{1,128}$")]


Parameters = Annotated[dict[str, Any], AfterValidator(bounded_schema)]


class Function(RequestModel):
    """A function that the model may call."""

    name: FunctionName
    description: StrictStr | None = None
    parameters: Parameters | None = None
    strict: StrictBool | None = None

    def to_tool(self) -> Tool:
        """As a turn knows it."""
        return Tool(
            name=self.name,
            description=self.description or "",
            parameters=orjson.dumps(self.parameters or _NO_PARAMETERS).decode(),
            strict=bool(self.strict),
        )


class ChatTool(RequestModel):
    """A tool of a chat completion."""

    type: FunctionType
    function: Function


class ResponseTool(RequestModel):
    """A tool of a response: shown from the start, and called by the model itself."""

    type: FunctionType
    name: FunctionName
    description: StrictStr | None = None
    parameters: Parameters | None = None
    strict: StrictBool | None = None
    defer_loading: Literal[False] | None = None
    allowed_callers: tuple[Literal["direct"], ...] | None = None

    @property
    def function(self) -> Function:
        """What it describes."""
        return Function.model_construct(**self.model_dump(include=set(Function.model_fields)))

    def echo(self) -> dict[str, Any]:
        """As a response repeats it."""
        return {
            "type": "function",
            "name": self.name,
            "description": self.description,
            "parameters": self.parameters or _NO_PARAMETERS,
            "strict": bool(self.strict),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolChoice:
    """Which tools a reply may or must call.

    Args:
        name: of the one that must be called.
        allowed: names of the only ones that may be called; None allows all.
        echo: as a response repeats it.
    """

    mode: str
    name: str | None = None
    allowed: tuple[str, ...] | None = None
    echo: Any = None

    @property
    def names(self) -> tuple[str, ...]:
        """All names in it."""
        return (self.name,) if self.name is not None else self.allowed or ()


def _tool_choice(value: object) -> ToolChoice:
    """A choice of either dialect: chat completions put names below `function`, responses do not."""
    if isinstance(value, str) and value in _MODES:
        return ToolChoice(mode=value, echo=value)
    if not isinstance(value, dict):
        raise PydanticCustomError("tool_choice", "must be none, auto, required or an object")
    match value.get("type"):
        case "function":
            name = _name_in(value)
            return ToolChoice(mode="required", name=name, echo=_named(name))
        case "allowed_tools":
            return _allowed_tools(value)
    raise PydanticCustomError(
        "tool_choice",
        "{kind} is not supported, only function and allowed_tools are",
        {"kind": shortened(value.get("type"))},
    )


def _allowed_tools(value: dict[str, Any]) -> ToolChoice:
    below = value.get("allowed_tools", value)
    if not (isinstance(below, dict) and isinstance(below.get("tools"), list)):
        raise PydanticCustomError("tool_choice", "its tools must be a list")
    if below.get("mode") not in ("auto", "required"):
        raise PydanticCustomError("tool_choice", "its mode must be auto or required")
    if not below["tools"]:
        raise PydanticCustomError("tool_choice", "its tools must have at least 1 entries")
    allowed = tuple(map(_name_in, below["tools"]))
    tools = [_named(name) for name in allowed]
    echo = {"type": "allowed_tools", "mode": below["mode"], "tools": tools}
    return ToolChoice(mode=below["mode"], allowed=allowed, echo=echo)


def _named(name: str) -> dict[str, str]:
    return {"type": "function", "name": name}


def _name_in(value: object) -> str:
    if isinstance(value, dict) and value.get("type") == "function":
        holder = value.get("function", value)
        if isinstance(holder, dict) and isinstance(name := holder.get("name"), str):
            return name
    raise PydanticCustomError("tool_choice", "must name a function")


def fits_tools(choice: ToolChoice | None, tools: Sequence[Tool]) -> ToolChoice | None:
    """A choice that its tools allow."""
    if choice is None:
        return None
    if not tools and choice.mode == "required":
        raise PydanticCustomError("tool_choice", "needs tools")
    names = {tool.name for tool in tools}
    if missing := [name for name in choice.names if name not in names]:
        raise PydanticCustomError(
            "tool_choice", "names {name}, which is not among the tools", {"name": missing[0]}
        )
    return choice


def unique_names(tools: Sequence[Function]) -> None:
    """Refuse two tools of one name."""
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        name = next(name for name in names if names.count(name) > 1)
        raise PydanticCustomError("tools", "has {name} twice", {"name": name})


def checked_choice(choice: ToolChoice | None, info: ValidationInfo) -> ToolChoice | None:
    """A choice beside a request's `tools`; whatever is wrong with those is reported itself."""
    if "tools" not in info.data:
        return choice
    tools = [tool.function.to_tool() for tool in info.data["tools"]]
    return fits_tools(choice, tools)


def tool_use(tools: Sequence[Tool], choice: ToolChoice | None, *, parallel: bool | None) -> ToolUse:
    """The tools of a turn. Those that must not be called are left out."""
    if not tools:
        return NO_TOOLS
    choice = choice or ToolChoice(mode="auto")
    kept = tuple(tool for tool in tools if choice.allowed is None or tool.name in choice.allowed)
    mode = choice.mode if choice.name is None else ToolUse.choice_of(choice.name)
    return ToolUse(tools=kept, choice=mode, parallel=parallel is not False)


_CHOICE_SCHEMA: Final = {
    "anyOf": [
        {"type": "string", "enum": list(_MODES)},
        {
            "type": "object",
            "properties": {"type": {"enum": ["function", "allowed_tools"]}},
            "required": ["type"],
        },
    ]
}
Choice = Annotated[ToolChoice, BeforeValidator(_tool_choice), WithJsonSchema(_CHOICE_SCHEMA)]
