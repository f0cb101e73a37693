"""What another model has begun is shown to this one in its own markup."""

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.parts import PartKind
from shared.wire.publication import PieceRecord
from shared.wire.turn_request import ANY_TOOL, ToolUse
from tests.unit.reading.readings import FAMILIES, USE, format_of
from tests.unit.reading.test_recipients import RECIPIENTS
from tests.writing_engine import HARMONY, PLAIN, TAGS
from worker.engine.interface import Part, ReplyReader
from worker.reading.begun import BegunReply, begun_reply
from worker.reading.reply_format import ReplyFormat, derive_format
from worker.template.chat_template import ChatTemplate

THINKS = derive_format(ChatTemplate(TAGS))
CHANNELS = derive_format(ChatTemplate(HARMONY))
CHANNELS_AND_CALLS = replace(CHANNELS, syntax=format_of("bare JSON").syntax)
ANSWERS = derive_format(ChatTemplate(PLAIN))
FORMATS = (THINKS, CHANNELS_AND_CALLS, RECIPIENTS, *map(format_of, FAMILIES))
OPEN, CLOSED = "<assistant><think>\n", "<assistant><think>\n\n</think>\n\n"


def pieces_of(*parts: tuple[PartKind, str]) -> list[PieceRecord]:
    return [PieceRecord(kind=kind, text=text, token_ids=(1,)) for kind, text in parts]


def shown(begun: BegunReply) -> str:
    return "".join(segment.text for segment in begun.segments)


MID_THOUGHT = pieces_of(("reasoning", "Let me"), ("reasoning", " see"))
ANSWERING = pieces_of(("reasoning", "Hm."), ("text", "It "), ("text", "is"))


@pytest.mark.parametrize(
    ("opening", "pieces", "text", "kind"),
    [
        ("<assistant>", MID_THOUGHT, "<think>\nLet me see", "reasoning"),
        (OPEN, MID_THOUGHT, "Let me see", "reasoning"),
        (CLOSED, MID_THOUGHT, "", None),
        ("<assistant>", ANSWERING, "<think>\nHm.\n</think>\n\nIt is", "text"),
        (OPEN, ANSWERING, "Hm.\n</think>\n\nIt is", "text"),
        (CLOSED, ANSWERING, "It is", "text"),
        ("<assistant>", ANSWERING[1:], "It is", "text"),
        (OPEN, ANSWERING[1:], "\n</think>\n\nIt is", "text"),
        (OPEN, [], "", None),
    ],
)
def test_thought_and_text_stand_where_the_model_would_have_written_them(
    opening: str, pieces: list[PieceRecord], text: str, kind: PartKind | None
) -> None:
    begun = begun_reply(THINKS, opening, pieces)
    assert (shown(begun), begun.kind) == (text, kind)


def test_channels_are_those_of_thought_and_answer() -> None:
    opening = "<|start|>assistant"
    thought = "<|channel|>analysis<|message|>"
    final = "<|channel|>final<|message|>"
    begun = begun_reply(CHANNELS, opening, MID_THOUGHT)
    assert (shown(begun), begun.kind) == (f"{thought}Let me see", "reasoning")
    begun = begun_reply(CHANNELS, opening, ANSWERING)
    assert shown(begun) == f"{thought}Hm.<|end|><|start|>assistant{final}It is"
    assert shown(begun_reply(CHANNELS, opening, ANSWERING[1:])) == f"{final}It is"


def test_a_model_that_does_not_think_is_shown_the_text_alone() -> None:
    assert shown(begun_reply(ANSWERS, "<assistant>", ANSWERING)) == "It is"
    assert begun_reply(ANSWERS, "<assistant>", MID_THOUGHT) == BegunReply()


def test_an_answer_stands_behind_its_recipient_where_the_model_writes_one() -> None:
    begun = begun_reply(RECIPIENTS, "<|assistant|>>>>", ANSWERING)
    assert [segment.text for segment in begun.segments] == ["all\n", "It is"]
    assert begun_reply(RECIPIENTS, "<|assistant|>>>>", MID_THOUGHT) == BegunReply()


def test_a_thought_that_would_end_too_early_is_not_shown() -> None:
    pieces = pieces_of(("reasoning", "R1 writes </think>, I do not."), ("text", "Yes"))
    assert shown(begun_reply(THINKS, "<assistant>", pieces)) == "Yes"
    assert shown(begun_reply(THINKS, OPEN, pieces)) == "\n</think>\n\nYes"


def test_a_thought_behind_text_is_over() -> None:
    pieces = pieces_of(("reasoning", "A"), ("text", "b"), ("reasoning", "C"), ("text", "d"))
    assert shown(begun_reply(THINKS, OPEN, pieces)) == "A\n</think>\n\nbd"


def test_only_markup_is_scaffold() -> None:
    begun = begun_reply(THINKS, "<assistant>", ANSWERING)
    assert [segment.text for segment in begun.segments if segment.is_scaffold] == [
        "<think>\n",
        "\n</think>\n\n",
    ]


def test_a_schema_allows_no_blanks_in_front_of_its_text() -> None:
    begun = begun_reply(THINKS, OPEN, pieces_of(("text", "{")), is_tight=True)
    assert shown(begun) == "\n</think>{"


def resumed(reply_format: ReplyFormat, begun: BegunReply, *, use: ToolUse = USE) -> ReplyReader:
    """A reader behind what another model has begun."""
    reader = reply_format.new_reader(
        opening="<assistant>",
        tool_use=use if reply_format.has_tools else ToolUse(),
        json_schema=None,
        call_id=str,
    )
    reader.push(shown(begun))
    if begun.kind is not None:
        reader.go_on_in(begun.kind)
    return reader


def joined(parts: list[Part]) -> list[tuple[str, str]]:
    groups = itertools.groupby(parts, key=lambda part: part.kind)
    return [(kind, "".join(part.text for part in group)) for kind, group in groups]


MARKUP = ("<think>", "</think>", "<tool_call>", "[TOOL_CALLS]", "<|call|>", "<|end|>", "<|start|>")
texts = st.lists(st.sampled_from((*MARKUP, "assistant", "{", " ", "\n", "word", "é", "<", "|")))


@given(
    reply_format=st.sampled_from(FORMATS),
    thought=texts.map("".join),
    text=texts.map("".join),
    more=st.sampled_from(("word. ", "Aé", "x")),
)
def test_what_follows_belongs_to_the_part_that_was_under_way(
    reply_format: ReplyFormat, thought: str, text: str, more: str
) -> None:
    """Whatever was written before: neither is it given out again, nor does it swallow anything."""
    pieces = pieces_of(("reasoning", thought), ("text", text))
    begun = begun_reply(reply_format, "<assistant>", pieces)
    reader = resumed(reply_format, begun)
    if text:
        assert begun.kind == "text"
    assert reader.is_reasoning == (begun.kind == "reasoning")
    parts = joined([*reader.push(more), *reader.finish()])
    kind = begun.kind or "text"
    expected = more.rstrip() if kind == "reasoning" and not reply_format.is_harmony else more
    assert begun.kind is None or parts == [(kind, expected)]


@pytest.mark.parametrize("reply_format", FORMATS, ids=["tags", "harmony", "recipients", *FAMILIES])
def test_a_call_that_has_to_be_made_is_made_behind_the_text(reply_format: ReplyFormat) -> None:
    if not reply_format.has_tools:
        pytest.skip("no calls")
    use = ToolUse(tools=USE.tools, choice=ANY_TOOL)
    begun = begun_reply(reply_format, "<assistant>", pieces_of(("text", "Wait.")))
    reader = resumed(reply_format, begun, use=use)
    assert reader.take_forced() or reader.grammar is not None
