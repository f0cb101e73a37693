"""A reply that was cut anywhere and gone on with is the reply that it would have been."""

from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.publication import PublishedReply, merged
from tests.scripted import ScriptedEngine
from tests.unit.engine.scripted_backend import END, Silent
from tests.unit.engine.test_parts import Letters, end_of, ids_of, parts_of, write
from tests.unit.reading.readings import FAMILIES, USE, VALID, format_of
from tests.unit.reading.test_any_text import replies
from tests.unit.reading.test_harmony import HARMONY
from worker.engine.interface import EngineError, GenerationRequest, Piece, ReplyReader
from worker.engine.sequence import Sequence as Reply
from worker.outbox import records_of
from worker.reading.begun import BegunReply, begun_reply
from worker.reading.reply_format import ReplyFormat
from worker.taking_over import reads_alike

_HARMONY = (
    "<|channel|>analysis<|message|>Só?<|end|><|start|>assistant<|channel|>commentary "
    'to=functions.weather <|constrain|>json<|message|>{"city": "A"}<|call|>'
    "<|start|>assistant<|channel|>final<|message|>It is <2>. END"
)
"""A reply in channels."""
_OPENINGS = {True: "<|start|>assistant", False: "<|assistant|>"}
ENGINE = ScriptedEngine()
TEXTS = [
    *((family, f"<think>\nSó? \n</think>\n\nWait. \n{VALID[family]}\n<EN") for family in FAMILIES),
    *((family, f"It is <2>. {VALID[family][:-7]}") for family in FAMILIES),
    ("harmony", _HARMONY),
]


@cache
def the_format(family: str) -> ReplyFormat:
    return HARMONY if family == "harmony" else format_of(family)


def reader_of(reply_format: ReplyFormat) -> ReplyReader:
    return reply_format.new_reader(
        opening=_OPENINGS[reply_format.is_harmony],
        tool_use=USE,
        json_schema=None,
        call_id=lambda index: f"call_{index}",
    )


def written(
    reply_format: ReplyFormat,
    text: str,
    *,
    stop: Sequence[str] = (),
    begun: str = "",
    behind: BegunReply | None = None,
    is_cut: bool = False,
) -> list[Piece]:
    """What the engine gives out for a reply.

    Args:
        text: what the model writes behind `begun`.
        behind: what another model has begun.
        is_cut: whether the worker is gone then.
    """
    pieces: list[Piece] = []

    def sink(item: Piece | EngineError) -> None:
        assert isinstance(item, Piece)
        pieces.append(item)

    if behind is not None:
        begun = "".join(segment.text for segment in behind.segments)
    request = GenerationRequest(
        "s",
        (1,),
        max_tokens=9999,
        stop=tuple(stop),
        reader=lambda: reader_of(reply_format),
        generated=tuple(map(ord, begun)),
        goes_on_in=behind.kind if behind is not None else None,
    )
    sampler = Silent()
    reply = Reply(request, Letters(), sampler, sink)
    if not write(reply, sampler, text) and not is_cut:
        reply.append(END)
    return pieces


def logged(pieces: Sequence[Piece]) -> list[Piece]:
    """What a lost worker may have published: all but the last piece."""
    return [piece for piece in pieces if piece.end is None]


def published(pieces: Sequence[Piece]) -> PublishedReply:
    records = [record for piece in pieces for record in records_of(piece)]
    return PublishedReply(pieces=merged(records), models=frozenset())


def check_every_cut(family: str, text: str, stop: Sequence[str]) -> None:
    reply_format = the_format(family)
    whole = written(reply_format, text, stop=stop)
    all_ids = ids_of(whole)
    for cut in range(len(all_ids)):
        before = logged(written(reply_format, text[:cut], stop=stop, is_cut=True))
        ids = ids_of(before)
        assert reads_alike(ENGINE, reader_of(reply_format), published(before)), cut
        after = written(reply_format, text[len(ids) :], stop=stop, begun=ids)
        assert parts_of([*before, *after]) == parts_of(whole), cut
        assert ids_of([*before, *after]) == all_ids
        assert end_of(after).reasoning_tokens == end_of(whole).reasoning_tokens


@pytest.mark.parametrize("stop", [(), ("END", "<2>!")], ids=["", "stop"])
@pytest.mark.parametrize(("family", "text"), TEXTS)
def test_the_same_model_goes_on_as_if_nothing_had_happened(
    family: str, text: str, stop: Sequence[str]
) -> None:
    check_every_cut(family, text, stop)


@given(reply=replies(), stop=st.lists(st.sampled_from(["<", "A}", "</t", "x\n"]), max_size=2))
def test_any_text_is_gone_on_with_where_it_was_cut(reply: tuple[str, str], stop: list[str]) -> None:
    check_every_cut(*reply, stop)


@pytest.mark.parametrize("other", ["tagged JSON", "bare JSON", "harmony"])
@pytest.mark.parametrize(("family", "text"), TEXTS)
def test_another_model_goes_on_behind_what_was_published(
    family: str, text: str, other: str
) -> None:
    """Nothing is given out twice, and what it adds belongs to the part that was under way."""
    for cut in range(len(text)):
        before = logged(written(the_format(family), text[:cut], is_cut=True))
        records = [record for piece in before for record in records_of(piece)]
        if any(record.kind == "call" for record in records):
            continue  # nothing is added then
        opening = _OPENINGS[other == "harmony"]
        behind = begun_reply(the_format(other), opening, records)
        after = written(the_format(other), " so", behind=behind)
        kinds = [kind for kind, _ in parts_of(before)]
        if behind.kind is None:
            assert not kinds
            continue
        expected = parts_of(before)
        assert behind.kind == kinds[-1]
        expected[-1] = (kinds[-1], expected[-1][1] + " so")
        assert parts_of([*before, *after]) == expected, cut
