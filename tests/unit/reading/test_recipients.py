"""Replies whose parts name who they are for are read as text and calls."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from shared.wire.parts import Tool, ToolCall
from shared.wire.turn_request import ToolUse
from tests.unit.growth import is_linear
from tests.unit.reading.readings import CLOCK, USE, WEATHER, read
from worker.engine.interface import UnusableRequest
from worker.reading.recipients import RecipientCalls
from worker.reading.reply_format import derive_format
from worker.template.chat_template import ChatTemplate

_TEMPLATE = ChatTemplate(
    "{% if tools %}<|system|>{{ tools | tojson }}<|end|>{% endif %}{% for m in messages %}"
    "<|{{ m.role }}|>{% if m.role != 'assistant' %}{{ m.content }}{% elif m.content %}"
    ">>>all\n{{ m.content }}{% endif %}{% for c in m.tool_calls or [] %}"
    ">>>{{ c.function.name }}\n{{ c.function.arguments }}{% endfor %}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>>>>{% endif %}"
)
RECIPIENTS = derive_format(_TEMPLATE)
_OPENING = "<|assistant|>>>>"
_CALL = 'weather\n{"city": ">>>all\\n"}'
_READ_CALL = ("call", 'weather {"city": ">>>all\\n"}')
_MARKUP = (
    *(">>>", "all\n", ">>>all\n", "weather\n", "clock\n{}", ">", "a", "\n", " ", "{", "}", '"'),
    *(_CALL, f">>>{_CALL}", ">>>clock\n{}", "other\n", "all", "é", "weather \n", " " * 300),
)
_replies = st.lists(st.sampled_from(_MARKUP), max_size=8).map("".join)


def _read(pieces: Any, use: ToolUse = USE) -> list[tuple[str, str]]:
    return read(RECIPIENTS, pieces, opening=_OPENING, use=use)


def test_the_template_tells_how_parts_begin() -> None:
    assert RECIPIENTS.syntax == RecipientCalls(mark=">>>", user="all")
    assert not RECIPIENTS.is_plain


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("all\nHi.", [("text", "Hi.")]),
        (_CALL, [_READ_CALL]),
        (f"{_CALL}>>>clock\n{{}}", [_READ_CALL, ("call", "clock {}")]),
        (f"all\nI look.\n>>>{_CALL}\n", [("text", "I look."), _READ_CALL]),
        (f"{_CALL}\n>>>all\nDone.", [_READ_CALL, ("text", "Done.")]),
        ("all\n>>> print(1)\n1\n>>>x\n", [("text", ">>> print(1)\n1\n>>>x\n")]),
        ("Hi.", [("text", "Hi.")]),
        ("other\n{}", [("text", "other\n{}")]),
        ('weather\n{"city": "a', [("text", 'weather\n{"city": "a')]),
        ("weather\nsunny", [("text", "weather\nsunny")]),
        ("all\nHm. >>>weather\n[1]", [("text", "Hm. >>>weather\n[1]")]),
        ("all\nHm. >>>wea", [("text", "Hm. >>>wea")]),
    ],
)
def test_parts_are_the_same_wherever_they_are_cut(text: str, parts: list[tuple[str, str]]) -> None:
    assert _read(list(text)) == parts
    for at in range(len(text) + 1):
        assert _read([text[:at], text[at:]]) == parts


@given(text=_replies, data=st.data())
def test_any_text_gives_the_same_parts_however_it_is_cut(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=5)) | {0, len(text)})
    pieces = [text[start:end] for start, end in itertools.pairwise(cuts)]
    assert _read(pieces) == _read([text]) == _read(list(text))


@given(text=_replies)
def test_without_tools_all_but_recipients_is_text(text: str) -> None:
    parts = _read(list(text), use=ToolUse())
    assert {kind for kind, _ in parts} <= {"text"}
    if not text.startswith("all") and ">>>all" not in text:
        assert "".join(part for _, part in parts) == text


@pytest.mark.parametrize("choice", ["required", "=weather"])
def test_a_call_that_has_to_be_made_is_made(choice: str) -> None:
    use = ToolUse(tools=(WEATHER, CLOCK), choice=choice)
    reader = RECIPIENTS.new_reader(opening=_OPENING, tool_use=use, json_schema=None, call_id=str)
    forced = reader.take_forced()
    assert forced == ("weather\n" if choice == "=weather" else "")
    if not forced:
        assert reader.grammar is not None
        assert _is_allowed(reader.grammar.text, "clock\n")
        assert not _is_allowed(reader.grammar.text, "all\n")
    reader.push("weather\n")
    assert reader.grammar is not None
    assert json.loads(reader.grammar.text)["required"] == ["city"]
    (call,) = reader.push('{"city": "A"}')
    assert ToolCall.decode(call.text).arguments == '{"city": "A"}'
    assert reader.grammar is None


def test_an_answer_that_follows_a_schema_is_for_the_user() -> None:
    schema = '{"type": "object", "required": ["a"]}'
    reader = RECIPIENTS.new_reader(
        opening=_OPENING, tool_use=ToolUse(), json_schema=schema, call_id=str
    )
    assert reader.take_forced() == "all\n"
    reader.push("all\n")
    assert reader.grammar is not None
    assert json.loads(reader.grammar.text) == json.loads(schema)


def test_an_answer_follows_its_schema_where_a_tool_may_be_called_instead() -> None:
    schema = '{"type": "integer"}'
    reader = RECIPIENTS.new_reader(opening=_OPENING, tool_use=USE, json_schema=schema, call_id=str)
    grammar = reader.grammar
    assert grammar is not None
    assert _is_allowed(grammar.text, "all\n17")
    assert _is_allowed(grammar.text, "clock\n")
    assert not _is_allowed(grammar.text, "all\nHi")
    reader.push("all\n1")
    assert reader.grammar is grammar


def test_a_reply_that_was_begun_is_text_from_the_start() -> None:
    opening = _OPENING + RECIPIENTS.closing_of(_OPENING) + "It is "
    assert read(RECIPIENTS, ["all\ngood"], opening=opening) == [("text", "all\ngood")]


def test_a_tool_with_the_users_name_is_refused_by_name() -> None:
    use = ToolUse(tools=(Tool(name="all"),))
    with pytest.raises(UnusableRequest, match="'all'"):
        RECIPIENTS.new_reader(opening="", tool_use=use, json_schema=None, call_id=str)


@pytest.mark.parametrize("text", [">>>", ">>>weather\n", '>>>weather\n{"', "> ", "all\n"])
def test_markup_repeated_many_times_is_read_in_linear_time(text: str) -> None:
    assert is_linear(lambda num: _read(list(text * num)), 3000)


def _is_allowed(lark: str, text: str) -> bool:
    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(lark))
    token_ids = tokenizer.tokenize_str(text)
    return matcher.try_consume_tokens(token_ids) == len(token_ids) and matcher.is_accepting()
