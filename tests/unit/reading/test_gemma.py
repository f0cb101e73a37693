"""Calls as Gemma 4 writes them."""

import pytest

from tests.unit.reading.readings import read
from worker.reading.gemma import GemmaCalls
from worker.reading.reply_format import ReplyFormat
from worker.reading.thought_marks import ThoughtMarks

GEMMA = ReplyFormat(
    marks=ThoughtMarks(begin="<|channel>thought\n", end="\n<channel|>"), syntax=GemmaCalls()
)
_CONTROLS = (
    "<|channel>",
    "<channel|>",
    "<|tool_call>",
    "<tool_call|>",
    '<|"|>',
    "<|tool_response>",
)


def test_a_thought_and_a_call() -> None:
    pieces = ["<|channel>", "thought\n", "Look", " it up.\n", "<channel|>", "<|tool_call>", "call:"]
    pieces += ["weather{city:", '<|"|>', "Pa<tool_call|>{}", '<|"|>', ",days:3}", "<tool_call|>"]
    assert read(GEMMA, [*pieces, "<|tool_response>"], opening="", controls=_CONTROLS) == [
        ("reasoning", "Look it up."),
        ("call", 'weather {"city": "Pa<tool_call|>{}", "days": 3}'),
    ]


@pytest.mark.parametrize(
    ("written", "arguments"),
    [
        ("{}", "{}"),
        ('{days:-1.50,city:<|"|>é"\\<|"|>}', '{"days": -1.50, "city": "é\\"\\\\"}'),
        ('{a:{b:[true,null,<|"|>x<|"|>,[]]}}', '{"a": {"b": [true, null, "x", []]}}'),
        ("{ city : Paris }", '{"city": "Paris"}'),
    ],
)
def test_arguments_become_json(written: str, arguments: str) -> None:
    text = f"<|tool_call>call:weather{written}<tool_call|>"
    assert read(GEMMA, list(text), opening="") == [("call", f"weather {arguments}")]


@pytest.mark.parametrize("body", ["{city:", "{city}", "", "{a:1} b", "{" * 5000, "{a:" * 500])
def test_what_is_no_call_stays_text(body: str) -> None:
    text = f"<|tool_call>call:weather{body}<tool_call|>"
    assert read(GEMMA, list(text), opening="") == [("text", text)]


def test_control_tokens_of_a_call_that_breaks_off_are_no_text() -> None:
    pieces = ["<|tool_call>", "call:weather{city:", '<|"|>', "Pa"]
    assert read(GEMMA, pieces, opening="", controls=_CONTROLS) == [("text", "call:weather{city:Pa")]
