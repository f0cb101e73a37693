"""A message as Anthropic's API shows it."""

from dataclasses import dataclass
from typing import Any, Final

import orjson

from shared.wire.parts import ToolCall

SIGNATURE: Final = "unsigned"
"""Of every thought. Clients that send thoughts back leave out those without a signature."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageWriter:
    """Writes replies to one request.

    Args:
        model_name: known when the turn was accepted.
        shows_thoughts: whether blocks of thinking have their text.
    """

    id: str
    model_name: str = ""
    shows_thoughts: bool = True

    def to_wire(self, reply: dict[str, Any]) -> dict[str, Any]:
        """The message with the whole reply."""
        content: list[dict[str, Any]] = []
        if thoughts := reply.get("reasoning"):
            content.append(self.thinking_block(thoughts) | {"signature": SIGNATURE})
        if reply["reply"]:
            content.append(text_block(reply["reply"]))
        for call in map(ToolCall.from_json, reply.get("tool_calls", ())):
            content.append(tool_block(call) | {"input": orjson.loads(input_of(call))})
        return self.head() | {
            "content": content,
            "usage": usage_of(reply),
            **ending_of(reply),
        }

    def head(self) -> dict[str, Any]:
        """The message before anything of it is written."""
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model_name,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": _usage(0, 0, 0),
        }

    def thinking_block(self, thoughts: str) -> dict[str, Any]:
        """A block of thinking that is not signed yet."""
        shown = thoughts if self.shows_thoughts else ""
        return {"type": "thinking", "thinking": shown, "signature": ""}


def text_block(text: str) -> dict[str, Any]:
    """A block of text."""
    return {"type": "text", "text": text}


def tool_block(call: ToolCall) -> dict[str, Any]:
    """A call without its input."""
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}


def input_of(call: ToolCall) -> str:
    """A call's arguments as the JSON text of an object, which is all that clients take."""
    try:
        is_object = isinstance(orjson.loads(call.arguments), dict)
    except orjson.JSONDecodeError:
        is_object = False
    if is_object:
        return call.arguments
    return orjson.dumps({"arguments": call.arguments} if call.arguments.strip() else {}).decode()


def ending_of(reply: dict[str, Any]) -> dict[str, str | None]:
    """Why a reply ended."""
    stop_string = reply.get("stop_string")
    reason = {"length": "max_tokens", "tool_calls": "tool_use"}.get(
        reply["finish_reason"], "end_turn" if stop_string is None else "stop_sequence"
    )
    return {
        "stop_reason": reason,
        "stop_sequence": stop_string if reason == "stop_sequence" else None,
    }


def usage_of(reply: dict[str, Any]) -> dict[str, Any]:
    """A turn's tokens. What was in a cache is not part of `input_tokens`."""
    usage = reply["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    fields = _usage(usage["prompt_tokens"] - cached, cached, usage["completion_tokens"])
    if details := usage.get("completion_tokens_details"):
        fields["output_tokens_details"] = {"thinking_tokens": details["reasoning_tokens"]}
    return fields


def _usage(fresh: int, cached: int, output: int) -> dict[str, Any]:
    return {
        "input_tokens": fresh,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": cached,
        "output_tokens": output,
    }
