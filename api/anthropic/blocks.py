"""Blocks of content that Anthropic's clients send."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Discriminator, Field, StrictBool, StrictStr, Tag
from pydantic_core import PydanticCustomError

from api.openai.requests import TEXT_OR_LIST, RequestModel

_SUPPORTED: Final = ("text", "tool_use", "tool_result", "thinking", "redacted_thinking")
CacheControl = dict[str, Any] | None
"""Where a client wants a cached prefix to end. Every prefix is cached here, so it adds nothing."""


class TextBlock(RequestModel):
    """Text."""

    type: Literal["text"]
    text: StrictStr
    cache_control: CacheControl = None


class ThinkingBlock(RequestModel):
    """What the model thought; the signature is another server's, or says that there is none."""

    type: Literal["thinking"]
    thinking: StrictStr
    signature: StrictStr | None = None
    cache_control: CacheControl = None


class RedactedThinkingBlock(RequestModel):
    """A thought that only the server that encrypted it can read; no model here is shown it."""

    type: Literal["redacted_thinking"]
    data: StrictStr


def _is_direct(value: object) -> object:
    if isinstance(value, dict) and value.get("type") == "direct":
        return None
    raise PydanticCustomError("caller", "only calls by the model itself are supported")


class ToolUseBlock(RequestModel):
    """A call that the model made."""

    type: Literal["tool_use"]
    id: Annotated[StrictStr, Field(min_length=1)]
    name: Annotated[StrictStr, Field(min_length=1)]
    input: dict[str, Any]
    caller: Annotated[None, BeforeValidator(_is_direct)] = None
    cache_control: CacheControl = None


def block_type(value: object) -> str:
    """The union's member for a block, named as no field can be."""
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return f"<{kind}>"


def _only(*kinds: str) -> Discriminator:
    return Discriminator(
        block_type,
        custom_error_type="block",
        custom_error_message=f"only blocks of type {', '.join(kinds)} are supported here",
    )


TextBlocks = tuple[Annotated[Annotated[TextBlock, Tag("<text>")], _only("text")], ...]
Text = Annotated[
    Annotated[StrictStr, Tag("<text>")] | Annotated[TextBlocks, Tag("<list>")], TEXT_OR_LIST
]
"""A string, or blocks of text."""


class ToolResultBlock(RequestModel):
    """What a tool that the model called has returned."""

    type: Literal["tool_result"]
    tool_use_id: StrictStr
    content: Text = ""
    is_error: StrictBool = False
    cache_control: CacheControl = None


Block = Annotated[
    Annotated[TextBlock, Tag("<text>")]
    | Annotated[ThinkingBlock, Tag("<thinking>")]
    | Annotated[RedactedThinkingBlock, Tag("<redacted_thinking>")]
    | Annotated[ToolUseBlock, Tag("<tool_use>")]
    | Annotated[ToolResultBlock, Tag("<tool_result>")],
    _only(*_SUPPORTED),
]


def text_of(content: str | tuple[TextBlock, ...]) -> str:
    """A string, or the text of all blocks."""
    return content if isinstance(content, str) else "".join(block.text for block in content)
