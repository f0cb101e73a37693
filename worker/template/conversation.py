"""Messages and tools in the form that chat templates expect."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool, ToolCall
from worker.template.folding import FoldedMessage
from worker.template.placed_text import MessagePart, Origin
from worker.template.traits import TemplateTraits
from worker.template.written_calls import WrittenForm

Mark = Callable[[str, Origin], str]
"""What stands for a text that somebody wrote: a placeholder, or the text itself."""

_SHORT_ID_LENGTH: Final = 9
_LONG_ID_LENGTH: Final = 24
_HARMLESS: Final = re.compile(r"[\w.,:;'()/?!%*+=#@$-]+( [\w.,:;'()/?!%*+=#@$-]+)*")
"""Texts in which nothing can be a control token: the template may look at these."""
_LONGEST_HARMLESS: Final = 1_000
_HARMLESS_ID: Final = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def verbatim(text: str, _origin: Origin) -> str:
    """A `Mark` that leaves texts as they are."""
    return text


def _is_harmless(text: str) -> bool:
    return len(text) <= _LONGEST_HARMLESS and _HARMLESS.fullmatch(text) is not None


def messages_for(
    messages: Sequence[FoldedMessage], traits: TemplateTraits, mark: Mark
) -> list[dict[str, Any]]:
    """All messages as the template's variable `messages`."""
    return [_message(folded, traits, mark) for folded in messages]


def _message(folded: FoldedMessage, traits: TemplateTraits, mark: Mark) -> dict[str, Any]:
    message = folded.message

    def marked(text: str, part: MessagePart) -> str:
        return mark(text, Origin(message=folded.index, part=part))

    content = "\n\n".join(
        mark(traits.trimmed(text, message.role), Origin(message=index))
        for index, text in folded.texts
    )
    fields: dict[str, Any] = {"role": message.role}
    # One that is never shown is not passed: where it is cut off a content, blanks may stay.
    thought = "" if traits.shows_thoughts == "never" else message.reasoning
    if thought and traits.reasoning_field == "content":
        content = f"<think>\n{marked(thought, 'reasoning')}\n</think>\n\n{content}"
    elif thought and traits.reasoning_field:
        fields[traits.reasoning_field] = marked(thought, "reasoning")
    if message.tool_calls and traits.call_form is not None:
        content += _written(message.tool_calls, traits.call_form, marked)
    fields["content"] = [{"type": "text", "text": content}] if traits.wants_parts else content
    if message.tool_calls and traits.call_form is None:
        fields["tool_calls"] = [_call(call, traits, marked) for call in message.tool_calls]
    if message.role == "tool":
        fields["tool_call_id"] = call_id_for(message.call_id, traits)
        name = message.name
        fields["name"] = name if _is_harmless(name) else marked(name, "call")
    return fields


def _call(
    call: ToolCall, traits: TemplateTraits, marked: Callable[[str, MessagePart], str]
) -> dict[str, Any]:
    def shown(text: str) -> str:
        return text if _is_harmless(text) else marked(text, "call")

    arguments: Any = marked(call.arguments, "call")
    if not traits.arguments_as_text:
        arguments = _with_strings(arguments_of(call), shown)
    return {
        "id": call_id_for(call.id, traits),
        "type": "function",
        "function": {"name": shown(call.name), "arguments": arguments},
    }


def _written(
    calls: Sequence[ToolCall], form: WrittenForm, marked: Callable[[str, MessagePart], str]
) -> str:
    """Calls as their model wrote them."""

    def shown(text: str) -> str:
        return text if _is_harmless(text) else marked(text, "call")

    return form.written([(call.name, arguments_of(call)) for call in calls], shown)


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """The arguments as an object; what a model wrote that is none becomes a member of one."""
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = None
    return arguments if isinstance(arguments, dict) else {"arguments": call.arguments}


def call_id_for(call_id: str, traits: TemplateTraits) -> str:
    """The id of a call as the template wants it.

    Templates compare ids, so these cannot be placeholders. One that a client made up and that could
    spell a control token is replaced by its hash.
    """
    if not traits.short_ids:
        is_safe = not call_id or _HARMLESS_ID.fullmatch(call_id)
        return call_id if is_safe else f"call_{_hashed(call_id)[:_LONG_ID_LENGTH]}"
    if len(call_id) == _SHORT_ID_LENGTH and call_id.isascii() and call_id.isalnum():
        return call_id
    return _hashed(call_id)[:_SHORT_ID_LENGTH]


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def tools_for(tools: Sequence[Tool], mark: Mark) -> list[dict[str, Any]]:
    """All tools as the template's variable `tools`."""
    shown = partial(_by_lines, mark=mark)
    return [
        {
            "type": "function",
            "function": {
                "name": shown(tool.name),
                "description": shown(tool.description),
                "parameters": _with_strings(json.loads(tool.parameters), shown),
            },
        }
        for tool in tools
    ]


def _by_lines(text: str, mark: Mark) -> str:
    """A text of a tool or an option, line by line, as templates may indent it."""
    origin = Origin(message=-1, part="tool")
    lines = text.split("\n")
    return "\n".join(line if _is_harmless(line) else mark(line, origin) for line in lines)


def options_for(variables: Mapping[str, Any], mark: Mark) -> dict[str, Any]:
    """A client's own variables of the template, in which it must not write control tokens."""
    return {
        name: _with_strings(value, partial(_by_lines, mark=mark))
        for name, value in variables.items()
    }


def functions_for(tools: Sequence[Tool], mark: Mark, now: datetime) -> dict[str, str]:
    """Tools and date as firefunction's template names them."""
    functions = [tool["function"] for tool in tools_for(tools, mark)]
    return {
        "functions": json.dumps(functions, indent=4, ensure_ascii=False),
        "datetime": now.strftime("%B %d %Y %H:%M:%S GMT"),
    }


def _with_strings(value: Any, shown: Callable[[str], str]) -> Any:
    """A JSON value with all its strings, names included, as they are to be shown."""
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, Mapping):
        return {shown(name): _with_strings(item, shown) for name, item in value.items()}
    if isinstance(value, list):
        return [_with_strings(item, shown) for item in value]
    return value


def switches_for(thinking: str, traits: TemplateTraits) -> dict[str, Any]:
    """Variables that tell the template how much to think.

    Where nothing is said, a model that can think does so: many templates would have it off then.
    """
    values: dict[str, Any] = {}
    for name in traits.switches:
        if name == "reasoning_effort":
            usual, least = ("high", None) if traits.needs_effort else (None, "low")
            effort = {"auto": usual, "off": least}.get(thinking, thinking)
            values |= {name: effort} if effort is not None else {}
        else:
            values[name] = thinking != "off"
    return values


def probe_message(role: str, content: str, **parts: Any) -> ChatMessage:
    """A message for trying a template."""
    return ChatMessage(role=role, content=content, **parts)  # type: ignore[arg-type]  # any role
