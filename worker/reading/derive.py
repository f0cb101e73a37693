"""Finds out how a model writes thoughts and calls: its chat template shows replies that have some.

Replies whose thought, name and arguments are known words are rendered; what stands around these is
the markup.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool, ToolCall
from worker.engine.prefixes import common_prefix
from worker.reading.call_syntax import CallSyntax
from worker.reading.gemma import BEGIN, END, GemmaCalls
from worker.reading.json_calls import JsonCalls, Path
from worker.reading.named_calls import NamedCalls
from worker.reading.reader import ThoughtMarks
from worker.reading.tagged_calls import TaggedCalls
from worker.template.chat_template import ChatTemplate
from worker.template.conversation import call_id_for
from worker.template.environment import TemplateError
from worker.template.options import TemplateOptions

_PROPERTIES: Final = {name: {"type": "string"} for name in ("qkeyq", "qsecondq")}
_TOOLS: Final = tuple(
    Tool(
        name=name,
        description="qdescriptionq",
        parameters=json.dumps({"type": "object", "properties": _PROPERTIES}),
    )
    for name in ("qfirstq", "qotherq")
)
_OPTIONS: Final = TemplateOptions(tools=_TOOLS)
_FIRST: Final = ToolCall(id="functions.qfirstq:0", name="qfirstq", arguments='{"qkeyq": "qvalueq"}')
_OTHER: Final = ToolCall(id="functions.qotherq:1", name="qotherq", arguments='{"qkeyq": "qwordq"}')
_LONGER: Final = replace(_FIRST, arguments='{"qkeyq": "qvalueq", "qsecondq": "qlastq"}')
_OTHER_VALUES: Final = ("71", "true", "[71]", '{"qlastq": 71}')
"""Values of kinds that a template may mark each in its own way."""
SHOWN: Final = replace(_OTHER, arguments='{"qkeyq": "qwordq", "qsecondq": "qlastq"}')
"""A call to try what was derived with."""
_USER: Final = ChatMessage(role="user", content="qquestionq")
_COMMON_MARKS: Final = ThoughtMarks(begin="<think>\n", end="\n</think>\n\n")
_KNOWN_MARKS: Final = (
    _COMMON_MARKS,
    ThoughtMarks(begin="[THINK]", end="[/THINK]"),
    ThoughtMarks(begin="<|inner_prefix|>", end="<|inner_suffix|>"),
    ThoughtMarks(begin="<|START_THINKING|>", end="<|END_THINKING|>"),
)
"""For templates that mention these, and show no thoughts in earlier replies."""


class _Sections(NamedTuple):
    section: str
    before: str
    after: str
    end_section: str


class Rendered:
    """What a template makes of replies.

    Args:
        template: whose replies.
    """

    def __init__(self, template: ChatTemplate) -> None:
        self._template = template

    def reply(self, **parts: Any) -> str | None:
        """A reply as its model would write it; None if the template has no place for it."""
        message = ChatMessage(role="assistant", **{"content": "", **parts})
        try:
            text = self._last(message)
            plain = self._last(ChatMessage(role="assistant", content="qanswerq"))
        except TemplateError:
            return None
        _, found, end = plain.rpartition("qanswerq")
        if not found or not text.endswith(end):
            end = _common_end(text, end)
        begin = text.rfind("qquestionq") + len("qquestionq")
        opening = self.opening
        at = text.find(opening, begin) if opening else -1
        begin = at + len(opening) if at >= 0 else begin + len(self._behind_prompt(text[begin:]))
        return text[begin : len(text) - len(end)]

    @property
    def opening(self) -> str:
        """What stands in front of any reply, without a thought that is opened there."""
        try:
            opening = self._template.opening_of(_OPTIONS if self._has_tools else TemplateOptions())
        except TemplateError:
            return ""
        for tag in ("<think>", "<seed:think>", "<|START_THINKING|>", "[THINK]"):
            opening = opening.split(tag)[0]
        return opening

    @property
    def _has_tools(self) -> bool:
        return self._template.traits.has_tools

    def _last(self, message: ChatMessage) -> str:
        options = _OPTIONS if self._has_tools else TemplateOptions()
        return self._template.render_text([_USER, message], options, add_generation_prompt=False)

    def _behind_prompt(self, text: str) -> str:
        """Where nothing opens a reply: the end of the prompt in front of it."""
        plain = self._last(ChatMessage(role="assistant", content="qanswerq"))
        behind = plain[plain.rfind("qquestionq") + len("qquestionq") :].partition("qanswerq")[0]
        return text[: common_prefix(text, behind)]


def thought_marks(template: ChatTemplate) -> ThoughtMarks | None:
    """Markup around thoughts; None if the model has none, as far as its template tells."""
    rendered = Rendered(template)
    if template.traits.reasoning_field == "content":
        return _COMMON_MARKS
    text = rendered.reply(content="qanswerq", reasoning="qthoughtq") or ""
    if "qthoughtq" not in text:
        text = rendered.reply(reasoning="qthoughtq", tool_calls=(_FIRST,)) or ""
    begin, found, rest = text.partition("qthoughtq")
    end, _, _ = rest.partition("qanswerq")
    if found and begin.strip() and end.strip():
        return ThoughtMarks(begin=begin, end=_first_tag(end))
    return next((marks for marks in _KNOWN_MARKS if marks.bare_end in template.source), None)


def _first_tag(end: str) -> str:
    """The markup that ends a thought, without what begins a call behind it."""
    stripped = end.lstrip()
    for close in (">", "]"):
        if close in stripped and stripped[0] in "<[":
            length = len(end) - len(stripped) + stripped.index(close) + 1
            blanks = len(end[length:]) - len(end[length:].lstrip("\n"))
            return end[: length + blanks]
    return end


def call_syntax(template: ChatTemplate, marks: ThoughtMarks | None) -> CallSyntax | None:
    """How the model writes calls; None if that cannot be told."""
    if not template.traits.has_tools:
        return None
    if BEGIN in template.source and END in template.source:
        return GemmaCalls()
    rendered = Rendered(template)
    one = _without_thought(rendered.reply(tool_calls=(_FIRST,)), marks)
    two = _without_thought(rendered.reply(tool_calls=(_FIRST, _OTHER)), marks)
    longer = _without_thought(rendered.reply(tool_calls=(_LONGER,)), marks)
    others = [
        rendered.reply(tool_calls=(replace(_FIRST, arguments=f'{{"qkeyq": {value}}}'),))
        for value in _OTHER_VALUES
    ]
    if one is None or "qvalueq" not in one:
        return None
    shown_id = call_id_for(_FIRST.id, template.traits)
    return (
        _json_calls(one)
        or _named_calls(one, two, shown_id)
        or _tagged_calls(one, longer, two, others)
    )


def shown_call(
    template: ChatTemplate, marks: ThoughtMarks | None
) -> tuple[str, tuple[Tool, ...]] | None:
    """A reply with a call other than those derived from, and the tools that may be called."""
    text = _without_thought(Rendered(template).reply(tool_calls=(SHOWN,)), marks)
    return None if text is None else (text, _TOOLS)


def _without_thought(text: str | None, marks: ThoughtMarks | None) -> str | None:
    """A reply without the empty thought that some templates put in front of it."""
    if text is None or marks is None:
        return text
    begin, found, rest = text.partition(marks.bare_end)
    is_empty = not begin.replace(marks.bare_begin, "").strip()
    return rest if found and is_empty else text


def _json_calls(text: str) -> JsonCalls | None:
    """Name and arguments in one object, which may stand in a list."""
    decoder = json.JSONDecoder()
    for position in range(text.find("qfirstq")):
        if text[position] not in "{[":
            continue
        try:
            value, end = decoder.raw_decode(text, position)
        except ValueError:
            continue
        item = value[0] if isinstance(value, list) and value else value
        name, arguments = _path_of(item, "qfirstq"), _arguments_path(item)
        if name is None or arguments is None:
            continue
        held = _at(item, arguments)
        return JsonCalls(
            opening=text[:position],
            closing=text[end:],
            is_list=isinstance(value, list),
            name=name,
            arguments=arguments,
            id=_path_of(item, _FIRST.id) or (),
            arguments_as_text=isinstance(held, str),
        )
    return None


def _path_of(item: Any, value: Any) -> Path | None:
    """Where in an object a value stands."""
    if not isinstance(item, dict):
        return None
    for name, member in item.items():
        if member == value:
            return (name,)
        below = _path_of(member, value)
        if below is not None:
            return (name, *below)
    return None


def _arguments_path(item: Any) -> Path | None:
    arguments = {"qkeyq": "qvalueq"}
    return _path_of(item, arguments) or _path_of(item, _FIRST.arguments)


def _at(item: Any, path: Path) -> Any:
    for name in path:
        item = item[name]
    return item


def _named_calls(one: str, two: str | None, shown_id: str) -> NamedCalls | None:
    """The name in markup, the arguments as JSON behind it."""
    parts = _cut(one, ("qfirstq", '{"qkeyq": "qvalueq"}'))
    if parts is None:
        return None
    before, after_name, after = parts
    has_id = before.endswith("functions.") and after_name.startswith(":0")
    if has_id:
        before, after_name = before.removesuffix("functions."), after_name.removeprefix(":0")
    id_mark, found, args_mark = after_name.partition(shown_id)
    after_name, id_mark = (args_mark, id_mark) if found else (after_name, "")
    section, before, after, end_section = _sections(before, after, two, '"}')
    if not before.strip():
        return None
    return NamedCalls(
        id_mark=id_mark,
        section=section,
        before=before,
        after_name=after_name,
        after=after,
        end_section=end_section,
        has_id=has_id,
    )


def _cut(text: str, words: Sequence[str]) -> list[str] | None:
    """The stretches between words that follow one another."""
    stretches = []
    for word in words:
        before, found, text = text.partition(word)
        if not found:
            return None
        stretches.append(before)
    return [*stretches, text]


def _sections(before: str, after: str, two: str | None, behind_value: str) -> _Sections:
    """Markup around all calls and around each one, told apart by a reply with two.

    Args:
        before, after: markup around a call that stands alone.
        behind_value: what ends an argument, in front of `after`.
    """
    middle, found, _ = (two or "").partition("qotherq")
    if not found or "qvalueq" not in middle:
        return _Sections("", before, after, "")
    between = middle[middle.rfind("qvalueq") + len("qvalueq") :].removeprefix(behind_value)
    own = _common_end(before, between.replace("functions.", ""))
    closing = _common_start(after, between)
    return _Sections(before[: len(before) - len(own)], own, closing, after[len(closing) :])


def _after_other_keys(texts: Sequence[str | None]) -> list[str]:
    """What stands between the name of an argument and values that are no strings."""
    cuts = [
        _cut(text or "", ("qfirstq", "qkeyq", value))
        for text, value in zip(texts, _OTHER_VALUES, strict=True)
    ]
    return [cut[2] for cut in cuts if cut is not None]


def _tagged_calls(
    one: str, longer: str | None, two: str | None, others: Sequence[str | None]
) -> TaggedCalls | None:
    """Name and arguments in markup of their own."""
    parts = _cut(one, ("qfirstq", "qkeyq", "qvalueq"))
    more = _cut(longer or "", ("qfirstq", "qkeyq", "qvalueq", "qsecondq", "qlastq"))
    if parts is None or more is None:
        return None
    before, first_key, after_key, end = parts
    between_arguments = more[3]
    after_value = _common_start(between_arguments, end)
    before_key = _common_end(first_key, between_arguments[len(after_value) :])
    after = end[len(after_value) :]
    section, before, after, end_section = _sections(before, after, two, after_value)
    if not (before.strip() and before_key.strip() and after_value.strip() and after.strip()):
        return None
    return TaggedCalls(
        section=section,
        before=before,
        after_name=first_key[: len(first_key) - len(before_key)],
        before_key=before_key,
        after_keys=tuple(dict.fromkeys((after_key, *_after_other_keys(others)))),
        after_value=after_value,
        after=after,
        end_section=end_section,
    )


def _common_start(first: str, second: str) -> str:
    """What both begin with, without half of a markup."""
    length = common_prefix(first, second)
    if length in (len(first), len(second)):
        return first[:length]
    return first[: 1 + max(first.rfind(end, 0, length) for end in '>]\n"}')]


def _common_end(first: str, second: str) -> str:
    """What both end with, without half of a markup."""
    length = common_prefix(first[::-1], second[::-1])
    common = first[len(first) - length :]
    if length in (len(first), len(second)):
        return common
    starts = [at for begin in '<[\n{"' if (at := common.find(begin)) >= 0]
    return common[min(starts) :] if starts else ""
