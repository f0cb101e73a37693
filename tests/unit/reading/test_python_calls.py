"""Calls in Python's notation are read as their arguments, and nothing else is taken for one."""

import itertools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from shared.wire.parts import Tool
from shared.wire.turn_request import ToolUse
from tests.unit.growth import is_linear
from tests.unit.reading.readings import CLOCK, USE, WEATHER, format_of, read
from worker.template.written_calls import form_for

_FORMAT = format_of("Python in contents")
_RAW = format_of("Python")
_BEGIN, _END = "<|tool_call_start|>", "<|tool_call_end|>"
_texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("\"'\\\n<>()[]{},=#"))
_values: st.SearchStrategy[Any] = st.recursive(
    _texts | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
    | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
_names = st.sampled_from(("city", "days", "class", "a-b", "é", "", "x y"))


def _arguments(text: str) -> list[Any]:
    """The arguments of all calls; a list with the text if there is none."""
    parts = read(_FORMAT, list(text))
    return [json.loads(part.split(" ", 1)[1]) if kind == "call" else part for kind, part in parts]


@given(arguments=st.dictionaries(_names, _values, max_size=4), data=st.data())
def test_calls_that_are_written_into_contents_are_read_as_the_same_calls(
    arguments: dict[str, Any], data: st.DataObject
) -> None:
    form = form_for(_BEGIN)
    assert form is not None
    text = form.written([("weather", arguments), ("clock", {})], str)
    at = data.draw(st.integers(0, len(text)))
    for pieces in ([text], list(text), [text[:at], text[at:]]):
        (first, second) = [part for _, part in read(_FORMAT, pieces)]
        assert json.loads(first.removeprefix("weather ")) == arguments
        assert second == "clock {}"


@given(city=_texts.filter(lambda text: not {"'", "\\"} & set(text)), days=st.integers())
def test_texts_that_a_template_does_not_escape_are_read_as_they_are(city: str, days: int) -> None:
    text = f"<|calls|>[weather(city='{city}', days={days})]<|end_calls|>"
    for pieces in ([text], list(text)):
        ((_, call),) = read(_RAW, pieces)
        assert json.loads(call.removeprefix("weather ")) == {"city": city, "days": days}


@pytest.mark.parametrize(
    ("written", "city"),
    [
        ("'it's'", "it's"),
        (r"'it\'s'", "it's"),
        (r"'C:\new'", r"C:\new"),
        ("'a, b) c'", "a, b) c"),
        ('"a\\nb"', "a\nb"),
        ("''", ""),
    ],
)
def test_a_quotation_mark_ends_such_a_text_only_where_an_argument_can_end(
    written: str, city: str
) -> None:
    for behind in (")", ", days=2)", " , **{})"):
        text = f"<|calls|>[weather(city={written}{behind}]<|end_calls|>"
        for at in range(len(text)):
            ((kind, call),) = read(_RAW, [text[:at], text[at:]])
            assert kind == "call"
            assert json.loads(call.removeprefix("weather "))["city"] == city


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ('city="a"', {"city": "a"}),
        ("city='a\"b'", {"city": 'a"b'}),
        (r'city="\"\'\\\n\x41\u00e9\101\d"', {"city": "\"'\\\nAéA\\d"}),
        ('city="two\nlines"', {"city": "two\nlines"}),
        ('city="""a "b" c"""', {"city": 'a "b" c'}),
        ("city=''", {"city": ""}),
        (" city = 'a' ,\n days=-3 , ", {"city": "a", "days": -3}),
        ("days=True, x=None, y=false, z=null", {"days": True, "x": None, "y": False, "z": None}),
        ("x=[1, 'a', [2.5e3]], y={'k': {}}", {"x": [1, "a", [2500.0]], "y": {"k": {}}}),
        ("a-b=1", {"a-b": 1}),
        ("**{'a b': 1}, city='x'", {"a b": 1, "city": "x"}),
    ],
)
def test_arguments_are_literals_by_name(written: str, arguments: dict[str, Any]) -> None:
    text = f"{_BEGIN}[weather({written})]{_END}"
    for at in range(len(text)):
        ((kind, call),) = read(_FORMAT, [text[:at], text[at:]])
        assert kind == "call"
        assert json.loads(call.removeprefix("weather ")) == arguments


@pytest.mark.parametrize(
    "written",
    [
        *("'Paris'", "city=Paris", "city=open('x')", "city=1+1", "city=f'{x}'", "city='a' 'b'"),
        *("city='a', city='b'", "city=", "=1", "city=('a')]", "city='a' days=2", "x=0x1", "x=01"),
        *("x=1_000", "x={1: 2}", "**x", "*x", "city='a',,", "x=" + "[" * 70 + "]" * 70, "x=[1}"),
        *("x=nan", "x=Infinity", "x=1.", "city=r'a'"),
    ],
)
def test_anything_else_is_text_whole_and_unchanged(written: str) -> None:
    text = f"So: {_BEGIN}[weather({written})]{_END} That is it."
    assert read(_FORMAT, list(text)) == [("text", text)]


@pytest.mark.parametrize(
    "text",
    [
        f"{_BEGIN}[other(city='a')]{_END}",
        f"{_BEGIN}[]{_END}",
        f"{_BEGIN}weather{_END}",
        f"{_BEGIN}[weather(city='a'",
    ],
)
def test_calls_of_other_tools_and_half_calls_are_text(text: str) -> None:
    for at in range(len(text)):
        assert read(_FORMAT, [text[:at], text[at:]]) == [("text", text)]


@pytest.mark.parametrize("rest", ["other()]", "and more]", "weather(city=1+1)]", "clock(", "7"])
def test_calls_stand_though_what_follows_in_their_list_is_none(rest: str) -> None:
    text = f"{_BEGIN}[weather(city='a'), {rest}"
    for at in range(len(text)):
        assert read(_FORMAT, [text[:at], text[at:]]) == [
            ("call", 'weather {"city": "a"}'),
            ("text", f", {rest}"),
        ]


def test_a_reply_that_breaks_off_has_the_calls_that_are_whole() -> None:
    whole = f"Well. {_BEGIN}[weather(city='a'), clock()]{_END}"
    first = whole.index(",")
    for length in range(whole.index("<"), len(whole)):
        parts = read(_FORMAT, list(whole[:length]))
        calls = [part for kind, part in parts if kind == "call"]
        assert calls[:1] == (['weather {"city": "a"}'] if length >= first else [])
        joined = "".join(part for kind, part in parts if kind == "text")
        assert joined.startswith("Well.")
        assert calls or joined == whole[:length]


def test_text_may_stand_around_calls() -> None:
    text = f"One.\n{_BEGIN}[clock()]{_END}Two. {_BEGIN}clock(){_END}"
    kinds = [("text", "One."), ("call", "clock {}"), ("text", "Two."), ("call", "clock {}")]
    for at in range(len(text)):
        assert read(_FORMAT, [text[:at], text[at:]]) == kinds


def test_calls_may_be_json_in_the_same_markup() -> None:
    text = f'{_BEGIN}[{{"name": "weather", "arguments": {{"city": "a"}}}}]{_END}'
    for at in range(len(text)):
        assert read(_FORMAT, [text[:at], text[at:]]) == [("call", 'weather {"city": "a"}')]


def test_a_tool_whose_name_is_no_identifier_is_called() -> None:
    tool = Tool(name="get-weather.v2", description="", parameters="{}")
    text = f"{_BEGIN}[get-weather.v2(city='a')]{_END}"
    parts = read(_FORMAT, list(text), use=ToolUse(tools=(tool,)))
    assert parts == [("call", 'get-weather.v2 {"city": "a"}')]


@pytest.mark.parametrize("piece", ["'x', ", "'x' y", '"""', "\\", "(", "city='", " "])
def test_reading_a_long_call_takes_linear_time(piece: str) -> None:
    def read_pieces(num: int) -> None:
        text = f"<|calls|>[weather(city='{piece * num}"
        read(_RAW, (text[at : at + 4] for at in range(0, len(text), 4)))

    assert is_linear(read_pieces, 20_000)


_PERIOD = Tool(
    name="period",
    description="",
    parameters=json.dumps(
        {
            "type": "object",
            "properties": {
                "begin": {"type": "integer"},
                "name": {"type": "string"},
                "end": {"$ref": "#/$defs/day"},
                "kind": {"enum": ["a", "b"]},
            },
            "required": ["name", "end"],
            "$defs": {"day": {"type": "integer"}},
        }
    ),
)


@pytest.mark.parametrize(
    ("written", "is_allowed"),
    [
        ('[period(name="a", end=2)', True),
        ('[period(begin=1, name="a", end=2, kind="b")', True),
        ('[period(name="a", end=2, kind="b")', True),
        ('[weather(city="A")', True),
        ('[weather(city="A", days=2)', True),
        ('[clock(**{"zone": 1})', True),
        ("[clock(**{})", True),
        ('[period(begin=1, name="a")', False),
        ('[period(, name="a", end=2)', False),
        ('[period(name="a", end="b")', False),
        ('[period(name="a", end=2, kind="c")', False),
        ("[weather(days=2)", False),
        ("[other()", False),
    ],
)
def test_a_call_that_has_to_be_made_follows_its_schema(written: str, is_allowed: bool) -> None:
    use = ToolUse(tools=(_PERIOD, WEATHER, CLOCK), choice="required")
    reader = _FORMAT.new_reader(opening="", tool_use=use, json_schema=None, call_id=str)
    reader.push(reader.take_forced())
    grammar = reader.grammar
    assert grammar is not None
    tokenizer = LLTokenizer("byte")
    matcher = LLMatcher(tokenizer, LLMatcher.grammar_from_lark(grammar.text))
    assert not matcher.is_error(), matcher.get_error()
    token_ids = tokenizer.tokenize_str(written)
    is_whole = matcher.try_consume_tokens(token_ids) == len(token_ids) and matcher.is_accepting()
    assert is_whole == is_allowed
    if is_allowed:
        reader.push(written)
        assert reader.grammar is None
        assert reader.take_forced() == f"]{_END}"


def test_without_parallel_calls_the_first_of_a_list_is_the_only_one() -> None:
    text = f"{_BEGIN}[clock(), weather(city='a')]{_END} and more"
    for cut in itertools.chain([[text]], [list(text)]):
        parts = read(_FORMAT, cut, use=ToolUse(tools=USE.tools, parallel=False))
        assert parts == [("call", "clock {}")]
