"""Whether what a template shows of a reply is read back as that reply, however it arrives."""

import itertools
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.wire.parts import Tool, ToolCall
from shared.wire.turn_request import ToolUse
from worker.engine.interface import Part
from worker.reading.reply_format import ReplyFormat, derive_format
from worker.reading.shown_replies import Rendered
from worker.template.chat_template import ChatTemplate

_CONTROL: Final = re.compile(r"<\|[^|<>]{1,40}\|?>|<[a-z_]{1,40}\|>")
NONE: Final = "-"
OK: Final = "ok"

_PARAMETERS: Final = (
    '{"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, '
    '"metric": {"type": "boolean"}, "place": {"type": "object"}}}'
)
_TOOLS: Final = tuple(
    Tool(name=name, description=f"The {name}.", parameters=_PARAMETERS)
    for name in ("weather", "forecast")
)
_CALL: Final = ToolCall(id="functions.weather:0", name="weather", arguments='{"city": "Paris"}')
_OTHER: Final = ToolCall(
    id="functions.forecast:1",
    name="forecast",
    arguments='{"city": "São Paulo {\\"x\\"}", "days": 3, "metric": true, '
    '"place": {"a": [1, "b"]}}',
)
_THOUGHT: Final = "They ask for 2 < 3.\n\nSo I answer."
_CALLS: Final[Sequence[dict[str, Any]]] = (
    {"tool_calls": (_CALL,)},
    {"tool_calls": (_OTHER,)},
    {"tool_calls": (_CALL, _OTHER)},
    {"tool_calls": (_CALL,), "content": "I look it up."},
)


@dataclass(frozen=True, kw_only=True)
class RoundTrip:
    """What came of it: `ok`, `-` where the template has none, or what is missing."""

    thought: str
    call: str


def round_trip(template: ChatTemplate) -> RoundTrip:
    """Try a thought and calls."""
    reply_format = derive_format(template)
    return RoundTrip(thought=_thought(template, reply_format), call=_calls(template, reply_format))


def _thought(template: ChatTemplate, reply_format: ReplyFormat) -> str:
    if reply_format.marks is None:
        return "not recognised" if template.traits.has_reasoning else NONE
    marks = reply_format.marks
    text = Rendered(template).reply(content="It is 2.", reasoning=_THOUGHT) or ""
    if _THOUGHT not in text:
        # The template drops thoughts; this is how its model writes them.
        text = f"{marks.begin}{_THOUGHT}{marks.end}It is 2."
    expected = [("reasoning", _THOUGHT), ("text", "It is 2.")]
    return _read_back(reply_format, text, expected)


def _calls(template: ChatTemplate, reply_format: ReplyFormat) -> str:
    if not template.traits.has_tools:
        return NONE
    if reply_format.syntax is None:
        return "not recognised"
    cases = [*_CALLS]
    if template.traits.shows_thoughts != "never":
        cases.append({"tool_calls": (_CALL,), "reasoning": _THOUGHT})
    problems = [_call(template, reply_format, case) for case in cases]
    return "; ".join(dict.fromkeys(problem for problem in problems if problem != OK)) or OK


def _call(template: ChatTemplate, reply_format: ReplyFormat, case: dict[str, Any]) -> str:
    text = Rendered(template).reply(**case)
    if text is None:
        return OK if len(case["tool_calls"]) > 1 else "refused"  # it has one call at a time
    shown = [call for call in case["tool_calls"] if call.name in text]
    is_thought = reply_format.is_harmony  # what is said beside a call is shown as a thought
    expected = []
    if case.get("reasoning") and case["reasoning"] in text:
        expected.append(("reasoning", case["reasoning"]))
    if case.get("content") and case["content"] in text:
        expected.append(("reasoning" if is_thought else "text", case["content"]))
    calls = [("call", f"{call.name} {_compact(call.arguments)}") for call in shown]
    is_behind = bool(case.get("content")) and text.find(case["content"]) > text.find(shown[0].name)
    expected = [*calls, *expected] if is_behind else [*expected, *calls]
    return _read_back(reply_format, text, expected)


def _compact(arguments: str) -> str:
    return json.dumps(json.loads(arguments), sort_keys=True)


def _read_back(reply_format: ReplyFormat, text: str, expected: Sequence[tuple[str, str]]) -> str:
    """Read a text whole, letter by letter, and cut at every place."""
    cuts = [[text], list(text), *([text[:at], text[at:]] for at in range(1, len(text)))]
    for pieces in cuts:
        read = _read(reply_format, text, pieces)
        if read != list(expected):
            return f"{text!r} is read as {read}"
    return OK


def _read(reply_format: ReplyFormat, text: str, pieces: Sequence[str]) -> list[tuple[str, str]]:
    has_tools = reply_format.syntax is not None
    reader = reply_format.new_reader(
        opening=_opening(reply_format, text),
        tool_use=ToolUse(tools=_TOOLS if has_tools else ()),
        json_schema=None,
        call_id=lambda index: f"call_{index}",
    )
    parts: list[Part] = []
    for piece, is_control in _tokens(text, pieces):
        parts += reader.push(piece, is_control=is_control)
    parts += reader.finish()
    joined: list[tuple[str, str]] = []
    for part in parts:
        shown = part.text
        if part.kind == "call":
            call = ToolCall.decode(shown)
            shown = f"{call.name} {_compact(call.arguments)}"
        elif joined and joined[-1][0] == part.kind:
            shown = joined.pop()[1] + shown
        joined.append((part.kind, shown))
    return joined


def _opening(reply_format: ReplyFormat, text: str) -> str:
    """Where a reply closes a thought that it has not opened, the prompt has."""
    marks = reply_format.marks
    if marks is None:
        return ""
    before, found, _ = text.partition(marks.bare_end)
    return marks.begin if found and before.strip() in ("", _THOUGHT) else ""


def _tokens(text: str, pieces: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """The pieces, what looks like control tokens whole and marked."""
    controls = [match.span() for match in _CONTROL.finditer(text)]
    borders = {border for span in controls for border in span}
    position = 0
    for piece in pieces:
        position += len(piece)
        borders.add(position)
    inside = {at for begin, end in controls for at in range(begin + 1, end)}
    edges = sorted({0, *borders} - inside)
    starts = {begin for begin, _ in controls}
    for begin, end in itertools.pairwise(edges):
        yield text[begin:end], begin in starts
