"""Replies that no sane model writes: read in bounded time, nothing lost, no exception."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

import pytest

from shared.wire.parts import ToolCall
from tests.unit.growth import is_linear
from tests.unit.reading.readings import FAMILIES, USE, VALID, format_of, read
from tests.unit.reading.test_harmony import HARMONY
from tests.unit.reading.test_recipients import RECIPIENTS
from worker.reading.gemma import GemmaCalls
from worker.reading.markup import MOST_BLANKS
from worker.reading.reply_format import ReplyFormat

_NUM: Final = 20_000
GEMMA: Final = replace(format_of("tagged JSON"), syntax=GemmaCalls())
ALL: Final = (*FAMILIES, "harmony", "gemma", "recipients")
WHOLE: Final = {
    **VALID,
    "gemma": '<|tool_call>call:weather{city:<|"|>A<|"|>}<tool_call|>',
    "harmony": "<|channel|>commentary to=functions.weather <|constrain|>json<|message|>"
    '{"city": "A"}<|call|><|start|>assistant',
    "recipients": 'weather\n{"city": "A"}',
}
THOUGHT: Final = {"harmony": "<|channel|>analysis<|message|>"}


@cache
def format_named(family: str) -> ReplyFormat:
    others = {"harmony": HARMONY, "gemma": GEMMA, "recipients": RECIPIENTS}
    return others[family] if family in others else format_of(family)


def parts_of(family: str, text: str, size: int = 2) -> list[tuple[str, str]]:
    opening = "<|start|>assistant" if family == "harmony" else "<|assistant|>"
    pieces = (text[at : at + size] for at in range(0, len(text), size))
    return read(format_named(family), pieces, opening=opening)


def up_to_argument(family: str) -> str:
    """A call that has begun and is in the middle of its last argument."""
    whole = WHOLE[family]
    return whole[: max(whole.rfind("A"), whole.rfind('"]"') + 1)]


HOSTILE: Final[dict[str, Callable[[str, int], str]]] = {
    "blanks": lambda _, num: " \n" * num,
    "blanks behind text": lambda _, num: "Hi" + " \n" * num,
    "blanks in a thought": lambda f, num: THOUGHT.get(f, "<think>") + "Hi" + " \n" * num,
    "blanks behind a call": lambda f, num: WHOLE[f] + " \n" * num,
    "commas behind a call": lambda f, num: WHOLE[f] + " ," * num,
    "blanks in front of arguments": lambda f, num: WHOLE[f].replace("{", " \n" * num, 1),
    "blanks in front of a name": lambda f, num: WHOLE[f].replace("weather", " \n" * num, 1),
    "an argument without end": lambda f, num: up_to_argument(f) + "word " * num,
    "brackets": lambda f, num: up_to_argument(f) + "[{" * num,
    "escapes": lambda f, num: up_to_argument(f) + '\\"' * num,
    "thoughts": lambda _, num: "<think>" * (num // 4) + "</think>" * (num // 4),
    "calls": lambda f, num: WHOLE[f] * (num // 100),
    "openings": lambda f, num: WHOLE[f][:14] * (num // 7),
    "half calls": lambda f, num: up_to_argument(f) * (num // 20),
}


@pytest.mark.parametrize("family", ALL)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_read_in_linear_time(kind: str, family: str) -> None:
    assert is_linear(lambda num: parts_of(family, HOSTILE[kind](family, num)), _NUM)


@pytest.mark.parametrize("family", ALL)
def test_arguments_of_a_megabyte_are_a_call(family: str) -> None:
    begun = up_to_argument(family)
    value = "word " * 200_000
    parts = parts_of(family, begun + value + WHOLE[family][len(begun) + 1 :], size=200)
    assert parts[-1][0] == "call"
    assert value.strip() in parts[-1][1]


@pytest.mark.parametrize("family", ALL)
def test_values_nested_too_deeply_are_no_call_and_no_exception(family: str) -> None:
    for deep in ("[" * 5000 + "]" * 5000, "1," * 5000, "-" * 5000 + "1", "9" * 5000):
        text = WHOLE[family].replace('"A"', deep).replace("A", deep).replace('"]"', deep)
        assert parts_of(family, text)


@pytest.mark.parametrize("family", [family for family in ALL if family != "harmony"])
@pytest.mark.parametrize("between", ["", "\n"])
def test_half_a_call_behind_whole_ones_is_text(family: str, between: str) -> None:
    whole = WHOLE[family]
    calls = parts_of(family, whole)
    for cut in range(1, len(whole)):
        half = whole[:cut]
        if parts_of(family, half) == [("text", half)]:
            assert parts_of(family, whole + between + half) == [*calls, ("text", half)]


@pytest.mark.parametrize("family", [family for family in ALL if family != "harmony"])
def test_whole_calls_stand_though_what_follows_is_none(family: str) -> None:
    wrong = WHOLE[family].replace("weather", "nothing").replace("clock", "nothing")
    assert parts_of(family, f"{WHOLE[family]}{wrong} more") == [
        *parts_of(family, WHOLE[family]),
        ("text", f"{wrong} more"),
    ]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("num", [MOST_BLANKS - 1, MOST_BLANKS, MOST_BLANKS + 1, 3 * MOST_BLANKS])
def test_many_blanks_are_read_alike_however_they_come(family: str, num: int) -> None:
    blanks = "\n" * num
    whole = WHOLE[family]
    for text in (
        f"Hi{blanks}{whole}",
        f"{blanks}<think>a{blanks}</think>{blanks}b",
        f"{whole}{blanks}{whole}",
        whole.replace("{", f"{blanks}{{", 1),
        whole.replace(">", f">{blanks}", 1),
    ):
        assert parts_of(family, text, size=1) == parts_of(family, text, size=len(text))


def test_a_call_id_is_given_once() -> None:
    reply = '[TOOL_CALLS][{"name": "clock", "arguments": {}, "id": "same"}'
    reply += ', {"name": "clock", "arguments": {}, "id": "same"}' * 9 + "]"
    reader = format_of("list").new_reader(
        opening="", tool_use=USE, json_schema=None, call_id=lambda index: f"call_{index}"
    )
    ids = [ToolCall.decode(part.text).id for part in (*reader.push(reply), *reader.finish())]
    assert ids == ["same", *(f"call_{place}" for place in range(1, 10))]


def test_a_header_that_is_cut_is_no_text_and_text_is_no_header() -> None:
    answer = "<|channel|>final<|message|>Hello<|end|>"
    for header in ("<|start|>assist", "<|start|>assistant<|chan", "<|start|>assistant to=func"):
        assert parts_of("harmony", answer + header) == [("text", "Hello")]
    for text in ("assistant, he said.", "to=you and me"):
        assert parts_of("harmony", answer + text) == [("text", f"Hello{text}")]
