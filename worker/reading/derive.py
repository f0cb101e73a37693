"""Finds out how a model writes calls: its chat template shows replies that have some.

Replies whose names and arguments are known words are rendered; what stands around these is the
markup.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from shared.wire.parts import Tool, ToolCall
from worker.engine.prefixes import common_prefix
from worker.reading.call_syntax import CallSyntax
from worker.reading.derive_python import python_calls
from worker.reading.derive_recipients import recipient_calls
from worker.reading.gemma import BEGIN, END, GemmaCalls
from worker.reading.json_calls import JsonCalls, Path
from worker.reading.markup import HOLE
from worker.reading.named_calls import NamedCalls
from worker.reading.recipients import RecipientCalls
from worker.reading.reply_frame import ReplyFrame
from worker.reading.shown_replies import FIRST, LONGER, OTHER, SHOWN, TOOLS, Rendered
from worker.reading.tagged_calls import TaggedCalls
from worker.reading.tags import parted
from worker.reading.thought_marks import ThoughtMarks
from worker.reading.thoughts import without_empty_thought
from worker.template.chat_template import ChatTemplate
from worker.template.conversation import call_id_for

_ESCAPED: Final = replace(FIRST, arguments='{"qkeyq": "q\\\\q"}')
_OTHER_VALUES: Final = ("71", "true", "[71]", '{"qlastq": 71}')
"""Values of kinds that a template may mark each in its own way."""
_ARGUMENTS: Final = '{"qkeyq": "qvalueq"}'
_NUMBER: Final = re.compile(r"\d+")


class _Sections(NamedTuple):
    section: str
    before: str
    after: str
    end_section: str


def call_syntax(
    template: ChatTemplate, marks: ThoughtMarks | None, frame: ReplyFrame
) -> CallSyntax | RecipientCalls | None:
    """How the model writes calls; None if that cannot be told."""
    if not template.traits.has_tools:
        return None
    if BEGIN in template.source and END in template.source:
        return GemmaCalls()
    rendered = Rendered(template)

    def shown(*calls: ToolCall) -> str:
        text = without_empty_thought(rendered.reply(tool_calls=calls) or "", marks)
        return frame.unframed(text, (FIRST.name, OTHER.name))

    one, two, longer = shown(FIRST), shown(FIRST, OTHER), shown(LONGER)
    others = [shown(replace(FIRST, arguments=f'{{"qkeyq": {value}}}')) for value in _OTHER_VALUES]
    if "qvalueq" not in one:
        return None
    ids = [call_id_for(call.id, template.traits) for call in (FIRST, OTHER)]
    return (
        recipient_calls(rendered)
        or _json_calls(one)
        or python_calls(one, shown(_ESCAPED))
        or _named_calls(one, two, ids)
        or _tagged_calls(one, longer, two, others)
    )


def shown_call(
    template: ChatTemplate, marks: ThoughtMarks | None
) -> tuple[str, tuple[Tool, ...]] | None:
    """A reply with a call other than those derived from, and the tools that may be called."""
    text = Rendered(template).reply(tool_calls=(SHOWN,))
    return None if text is None else (without_empty_thought(text, marks), TOOLS)


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
            id=_path_of(item, FIRST.id) or (),
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
    return _path_of(item, arguments) or _path_of(item, FIRST.arguments)


def _at(item: Any, path: Path) -> Any:
    for name in path:
        item = item[name]
    return item


def _named_calls(one: str, two: str, ids: Sequence[str]) -> NamedCalls | None:
    """The name in markup, the arguments as JSON behind it.

    Args:
        ids: of both calls, as the template shows them.
    """
    behind_id = _cut(one, (ids[0], "qfirstq", _ARGUMENTS))
    parts = behind_id[:1] + behind_id[2:] if behind_id else _cut(one, ("qfirstq", _ARGUMENTS))
    if parts is None:
        return None
    before, after_name, after = parts
    has_id = not behind_id and before.endswith("functions.") and after_name.startswith(":0")
    if has_id:
        before, after_name = before.removesuffix("functions."), after_name.removeprefix(":0")
    id_mark = behind_id[1] if behind_id else ""
    if not behind_id and ids[0] in after_name:
        id_mark, _, after_name = after_name.partition(ids[0])
    section, before, after, end_section = _sections(
        before, after, two.replace(ids[1], "qotherq"), '"}'
    )
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
        is_id_first=bool(behind_id),
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


def _sections(before: str, after: str, two: str, behind_value: str) -> _Sections:
    """Markup around all calls and around each one, told apart by a reply with two.

    Args:
        before, after: markup around a call that stands alone.
        behind_value: what ends an argument, in front of `after`.
    """
    middle, found, _ = two.partition("qotherq")
    if not found or "qvalueq" not in middle:
        return _Sections("", before, after, "")
    between = middle[middle.rfind("qvalueq") + len("qvalueq") :].replace("qkeyq", HOLE)
    closing, own = parted(between.removeprefix(behind_value), after, before)
    return _Sections(before[: len(before) - len(own)], own, closing, after[len(closing) :])


def _after_other_keys(texts: Sequence[str]) -> list[str]:
    """What stands between the name of an argument and values that are no strings."""
    cuts = [
        _cut(text, ("qfirstq", "qkeyq", value))
        for text, value in zip(texts, _OTHER_VALUES, strict=True)
    ]
    return [cut[2] for cut in cuts if cut is not None and HOLE not in cut[2]]


def _tagged_calls(one: str, longer: str, two: str, others: Sequence[str]) -> TaggedCalls | None:
    """Name and arguments in markup of their own."""
    parts = _cut(one, ("qfirstq", "qkeyq", "qvalueq"))
    more = _cut(longer, ("qfirstq", "qkeyq", "qvalueq", "qsecondq", "qlastq"))
    if parts is None or more is None:
        return None
    before, first_key, after_key, end = (part.replace("qkeyq", HOLE) for part in parts)
    after_value, before_key = parted(more[3].replace("qkeyq", HOLE), end, first_key)
    section, before, after, end_section = _sections(
        before, end[len(after_value) :], two, after_value
    )
    if not (before.strip() and before_key.strip() and after_value.strip() and after.strip()):
        return None
    after_name, behind_counter = _counted(first_key[: len(first_key) - len(before_key)], two)
    return TaggedCalls(
        section=section,
        before=before,
        after_name=after_name,
        behind_counter=behind_counter,
        before_key=before_key,
        after_keys=tuple(dict.fromkeys((after_key, *_after_other_keys(others)))),
        after_value=after_value,
        after=after,
        end_section=end_section,
        item=_item(before_key, after_key, others) if HOLE in after_value else "",
    )


def _counted(after_name: str, two: str) -> tuple[str, str]:
    """Markup around a number that counts calls; all of it and nothing if it does not."""
    other = two.partition("qotherq")[2].partition("qkeyq")[0][: len(after_name)]
    start = common_prefix(after_name, other)
    number = _NUMBER.match(after_name, start)
    if number is None or start == len(other):
        return after_name, ""
    return after_name[:start], after_name[number.end() :]


def _item(before_key: str, after_key: str, others: Sequence[str]) -> str:
    """The name of a list's items, where these stand in markup as arguments do."""
    behind_key = others[_OTHER_VALUES.index("[71]")].partition("qkeyq" + after_key)[2]
    name, _, value = behind_key.removeprefix(before_key).partition(after_key)
    return name if value.startswith("71") else ""
