"""Replies as gpt-oss writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.turn_request import ToolUse
from tests.unit.growth import is_linear
from tests.unit.reading.readings import CLOCK, USE, WEATHER, read
from worker.reading.call_syntax import CallSyntax
from worker.reading.json_calls import JsonCalls
from worker.reading.reply_format import ReplyFormat
from worker.reading.thought_marks import ThoughtMarks

_SYNTAX: CallSyntax = JsonCalls(
    opening="", closing="", is_list=False, name=("name",), arguments=("arguments",)
)
HARMONY = ReplyFormat(
    marks=ThoughtMarks(begin="<|channel|>analysis<|message|>", end="<|end|>"),
    syntax=_SYNTAX,
    is_harmony=True,
)
OPENING = "<|start|>assistant"
_CONTROLS: tuple[str, ...] = (
    "<|channel|>",
    "<|message|>",
    "<|end|>",
    "<|start|>",
    "<|call|>",
    "<|constrain|>",
)
_CONTROLS += ("<|return|>", "<|endofprompt|>")
_THOUGHT = ["<|channel|>", "analysis", "<|message|>", "They ask", ".", "<|end|>", "<|start|>"]
_CALL = [
    "assistant",
    "<|channel|>",
    "commentary",
    " to=functions.",
    "weather",
    " ",
    "<|constrain|>",
]
_CALL += ["json", "<|message|>", '{"city":', ' "A"}', "<|call|>"]
_ANSWER = ["assistant", "<|channel|>", "final", "<|message|>", "It is", " 2."]


def _read(pieces: list[str], use: ToolUse = USE) -> list[tuple[str, str]]:
    return read(HARMONY, pieces, opening=OPENING, use=use, controls=_CONTROLS)


def test_a_thought_and_an_answer() -> None:
    assert _read([*_THOUGHT, *_ANSWER]) == [("reasoning", "They ask."), ("text", "It is 2.")]


def test_a_thought_and_a_call_with_its_recipient_behind_the_channel() -> None:
    assert _read([*_THOUGHT, *_CALL]) == [
        ("reasoning", "They ask."),
        ("call", 'weather {"city": "A"}'),
    ]


def test_what_is_said_before_a_call_is_text() -> None:
    said = ["<|channel|>", "commentary", "<|message|>", "I look.", "<|end|>", "<|start|>"]
    assert _read([*said, *_CALL]) == [("text", "I look."), ("call", 'weather {"city": "A"}')]


@pytest.mark.parametrize("use", [ToolUse(), ToolUse(tools=(CLOCK,))])
def test_a_call_of_no_tool_is_text_without_control_tokens(use: ToolUse) -> None:
    parts = _read(_CALL[1:], use)
    assert [kind for kind, _ in parts] == ["text"]
    assert '{"city": "A"}' in parts[0][1]
    assert "<|" not in parts[0][1]


def test_a_call_that_breaks_off_is_text_without_control_tokens() -> None:
    ((kind, text),) = _read(_CALL[1:-2])
    assert kind == "text"
    assert text.endswith('{"city":')
    assert "<|" not in text


def test_other_control_tokens_are_no_text() -> None:
    assert _read([*_ANSWER[1:], "<|endofprompt|>", " Yes."]) == [("text", "It is 2. Yes.")]


def test_a_reply_without_channels_is_the_answer() -> None:
    assert _read(["Plain", " text."]) == [("text", "Plain text.")]


@given(pieces=st.lists(st.sampled_from((*_THOUGHT, *_CALL, *_ANSWER)), max_size=20))
def test_no_control_token_ever_becomes_text(pieces: list[str]) -> None:
    for kind, text in _read(pieces):
        assert kind == "call" or "<|" not in text


@given(pieces=st.lists(st.sampled_from((*_THOUGHT, *_CALL, *_ANSWER, "é")), max_size=20))
def test_the_same_text_gives_the_same_parts_however_it_is_cut(pieces: list[str]) -> None:
    whole = read(HARMONY, ["".join(pieces)], opening=OPENING)
    assert read(HARMONY, list("".join(pieces)), opening=OPENING) == whole


def test_long_arguments_are_read_in_linear_time() -> None:
    def read_arguments(num: int) -> None:
        value = '{\\"x\\"} ' * num
        cut = (value[at : at + 4] for at in range(0, len(value), 4))
        pieces = [*_CALL[1:-3], '{"city": "', *cut, '"}', "<|call|>"]
        ((kind, _),) = _read(pieces, ToolUse(tools=(WEATHER,), choice="required"))
        assert kind == "call"

    assert is_linear(read_arguments, 30_000)
