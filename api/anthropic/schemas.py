"""Anthropic's answers and events, as far as this server sends them, for `/openapi.json`."""

from typing import Any, Final, Literal, NotRequired

from typing_extensions import TypedDict

StopReason = Literal["end_turn", "max_tokens", "stop_sequence", "tool_use"]


class AnthropicText(TypedDict):
    """A block of text."""

    type: Literal["text"]
    text: str


class AnthropicThinking(TypedDict):
    """A block of what the model thought; `signature` only says that it is complete."""

    type: Literal["thinking"]
    thinking: str
    signature: str


class AnthropicToolUse(TypedDict):
    """A block that calls one of the client's tools."""

    type: Literal["tool_use"]
    id: str
    name: str
    input: dict[str, Any]


AnthropicBlock = AnthropicText | AnthropicThinking | AnthropicToolUse


class ThinkingTokens(TypedDict):
    """Tokens of the reply by what they are."""

    thinking_tokens: int


class AnthropicUsage(TypedDict):
    """Tokens of a turn; the prompt's are `input_tokens` and `cache_read_input_tokens` together."""

    input_tokens: int
    cache_creation_input_tokens: int
    cache_read_input_tokens: int
    output_tokens: int
    output_tokens_details: NotRequired[ThinkingTokens]


class AnthropicReply(TypedDict):
    """A reply in one piece."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[AnthropicBlock]
    stop_reason: StopReason | None
    stop_sequence: str | None
    usage: AnthropicUsage


class TokenCountObject(TypedDict):
    """Tokens of a prompt."""

    input_tokens: int


class AnthropicErrorDetails(TypedDict):
    """What went wrong; `code` is this server's, and stable."""

    type: str
    message: str
    code: str


class AnthropicError(TypedDict):
    """An error, also as the last event of a stream that has begun."""

    type: Literal["error"]
    error: AnthropicErrorDetails
    request_id: str | None


class MessageStart(TypedDict):
    """The first event; its usage is not known yet."""

    type: Literal["message_start"]
    message: AnthropicReply


class Ping(TypedDict):
    """The connection is alive."""

    type: Literal["ping"]


class BlockStart(TypedDict):
    """A block begins."""

    type: Literal["content_block_start"]
    index: int
    content_block: AnthropicBlock


class TextDelta(TypedDict):
    """Text."""

    type: Literal["text_delta"]
    text: str


class ThinkingDelta(TypedDict):
    """A piece of a thought."""

    type: Literal["thinking_delta"]
    thinking: str


class SignatureDelta(TypedDict):
    """Ends a thought."""

    type: Literal["signature_delta"]
    signature: str


class InputDelta(TypedDict):
    """The input of a call, whole."""

    type: Literal["input_json_delta"]
    partial_json: str


class BlockDelta(TypedDict):
    """A piece of a block."""

    type: Literal["content_block_delta"]
    index: int
    delta: TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class BlockStop(TypedDict):
    """A block is complete."""

    type: Literal["content_block_stop"]
    index: int


class MessageEnding(TypedDict):
    """Why the reply ended."""

    stop_reason: StopReason
    stop_sequence: str | None


class MessageDelta(TypedDict):
    """The reply is complete; this is what it took."""

    type: Literal["message_delta"]
    delta: MessageEnding
    usage: AnthropicUsage


class MessageStop(TypedDict):
    """The last event."""

    type: Literal["message_stop"]


EVENTS: Final[dict[str, type]] = {
    "message_start": MessageStart,
    "ping": Ping,
    "content_block_start": BlockStart,
    "content_block_delta": BlockDelta,
    "content_block_stop": BlockStop,
    "message_delta": MessageDelta,
    "message_stop": MessageStop,
    "error": AnthropicError,
}
