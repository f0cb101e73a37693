"""Whatever a model writes, nothing is lost, and it does not matter how it arrives."""

import itertools
from functools import lru_cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.turn_request import ToolUse
from tests.unit.growth import is_linear
from tests.unit.reading.readings import FAMILIES, USE, VALID, format_of, read
from worker.reading.reply_format import ReplyFormat

_MARKUP = (
    *("<think>", "</think>", "<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "<|calls|>"),
    *("<|call|>", "<|args|>", "<|end_call|>", "<|end_calls|>", "functions.weather:0", "<function="),
    *("<function=weather>", "<parameter=city>", "</parameter>", "</function>", "<arg_key>"),
    *("</arg_key>", "<arg_value>", "</arg_value>", "weather", '{"name": "weather"', '"arguments"'),
    *(': {"city": "}"}', "{", "}", "[", "]", '"', "\\", ",", "\n", " ", "é", "🦆", "<", "x"),
    *("<|open|>", "call", "<|is|>", "<|close|>", "<calls>", "</calls>", "<city>", "</city>"),
    *("<one>", "</one>", "</call>", "<|name|>", "a1"),
    *("weather(", "clock()", "city='", "'", '"""', "days=", "(", ")", "None", "**"),
    *("<|tool_call|>", "<|tool_call_start|>", "<|tool_call_end|>"),
    '{"name": "clock", "arguments": {}}',
    '{"name": "weather", "parameters": {"city": "A"}}',
)


@st.composite
def replies(draw: st.DrawFn) -> tuple[str, str]:
    """A family, and text with calls of its kind and whatever else, cut and torn apart."""
    family = draw(st.sampled_from(FAMILIES))
    stuff = st.sampled_from((*_MARKUP, *[VALID[family]] * 6, "<think>a</think>"))
    text = "".join(draw(st.lists(stuff | st.text(max_size=3), max_size=10)))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(text)))
        text = (
            text[:at] + draw(st.sampled_from(("", *_MARKUP))) + text[at + draw(st.integers(0, 3)) :]
        )
    return family, text


@lru_cache
def _format(family: str) -> ReplyFormat:
    return format_of(family)


@given(reply=replies(), data=st.data())
def test_the_same_text_gives_the_same_parts_however_it_is_cut(
    reply: tuple[str, str], data: st.DataObject
) -> None:
    family, text = reply
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)) | {0, len(text)})
    pieces = [text[start:end] for start, end in itertools.pairwise(cuts)]
    use = data.draw(st.sampled_from((USE, ToolUse())))
    whole = read(_format(family), [text], use=use)
    assert read(_format(family), pieces, use=use) == whole
    assert read(_format(family), list(text), use=use) == whole


@given(reply=replies(), use=st.sampled_from((USE, ToolUse())))
def test_what_is_given_out_before_the_end_does_not_depend_on_cuts(
    reply: tuple[str, str], use: ToolUse
) -> None:
    """Another start reads at once what came letter by letter, and goes on behind it."""
    family, text = reply
    at_once = read(_format(family), [text], use=use, is_whole=False)
    assert read(_format(family), list(text), use=use, is_whole=False) == at_once


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "text", ["It ", "It \n\n", "\n" * 300, "\n" * 256, " {} ", "<think>a</think> b "]
)
def test_blanks_are_held_back_alike_however_they_come(family: str, text: str) -> None:
    at_once = read(_format(family), [text], is_whole=False)
    assert read(_format(family), list(text), is_whole=False) == at_once


@given(reply=replies())
def test_without_tools_all_but_thoughts_is_text(reply: tuple[str, str]) -> None:
    family, text = reply
    parts = read(_format(family), list(text), use=ToolUse())
    assert {kind for kind, _ in parts} <= {"text", "reasoning"}
    if not text.lstrip().startswith("<think>"):
        assert parts == ([("text", text)] if text else [])


@given(reply=replies())
def test_what_is_no_call_stays_text_whole_and_unchanged(reply: tuple[str, str]) -> None:
    family, text = reply
    parts = read(_format(family), list(text))
    if not text.lstrip().startswith("<think>") and all(kind == "text" for kind, _ in parts):
        assert "".join(part for _, part in parts) == text


@given(reply=replies())
def test_without_parallel_calls_a_reply_has_one_at_most(reply: tuple[str, str]) -> None:
    family, text = reply
    parts = read(_format(family), [text], use=ToolUse(tools=USE.tools, parallel=False))
    assert sum(kind == "call" for kind, _ in parts) <= 1


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "text", ['<tool_call>\n{"', "[TOOL_CALLS]", "<|call|>", "<tool_call>\n<function=weather>\n"]
)
def test_markup_repeated_a_thousand_times_is_text_read_in_linear_time(
    family: str, text: str
) -> None:
    assert read(_format(family), list(text * 1000)) == [("text", text * 1000)]
    assert is_linear(lambda num: read(_format(family), list(text * num)), 1000)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_text_is_read_in_linear_time(family: str) -> None:
    def read_words(num: int) -> None:
        text = 'word [x] {"y"} <z> ' * num
        pieces = (text[at : at + 4] for at in range(0, len(text), 4))
        assert read(_format(family), pieces) == [("text", text)]

    assert is_linear(read_words, 20_000)


@pytest.mark.parametrize("family", FAMILIES)
def test_calls_as_each_family_writes_them_are_calls(family: str) -> None:
    parts = read(format_of(family), list(f"\n{VALID[family]}\n"))
    assert {kind for kind, _ in parts} == {"call"}
