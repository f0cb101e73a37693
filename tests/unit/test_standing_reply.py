"""What stands of a reply, read again from the tokens that the model wrote."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.continuing import StandingReply
from shared.wire.messages import ChatMessage, StoredMessage
from shared.wire.reply import Timings
from shared.wire.turn_request import NO_TOOLS
from tests.scripted import ScriptedEngine
from tests.writing_engine import TAGS
from worker.engine.interface import ReplyReader
from worker.prompt.message import PromptMessage
from worker.reading.reply_format import derive_format
from worker.standing_reply import as_written, to_publish, written_ids
from worker.template.chat_template import ChatTemplate

ENGINE = ScriptedEngine()
FORMAT = derive_format(ChatTemplate(TAGS))
WHOLE = "<think>\nHm, well.\n</think>\n\nFour. <b>"
HALF = 0xFFFD
"""What a token decodes to that begins a character."""


def reader() -> ReplyReader:
    return FORMAT.new_reader(opening="", tool_use=NO_TOOLS, json_schema=None, call_id=str)


def cut(written: str, fingerprint: str = "scripted") -> StoredMessage:
    """A reply as a worker stores it that was cut behind this much."""
    read = reader()
    parts = [*read.push(written), *read.finish()]
    return StoredMessage(
        number=2,
        role="assistant",
        content="".join(part.text for part in parts if part.kind == "text"),
        timestamp_ms=0,
        tokens=len(written),
        job_id="job",
        written_ids=tuple(map(ord, written)),
        fingerprint=fingerprint,
        reasoning="".join(part.text for part in parts if part.kind == "reasoning"),
        finish_reason="length",
    )


@given(st.integers(1, len(WHOLE)))
def test_what_stands_and_what_is_read_behind_it_are_the_whole_reply(length: int) -> None:
    message = cut(WHOLE[:length])
    before = as_written(ENGINE, reader(), message, tuple(map(ord, WHOLE[:length])))
    assert before is not None
    assert before.num_logged == 0
    assert before.reply.token_ids == tuple(map(ord, WHOLE[:length]))
    # As the engine does: what stands is read silently, and only what follows is given out.
    behind = reader()
    behind.push(WHOLE[:length])
    parts = [*to_publish(before).parts, *behind.push(WHOLE[length:]), *behind.finish()]
    assert "".join(part.text for part in parts if part.kind == "reasoning") == "Hm, well."
    assert "".join(part.text for part in parts if part.kind == "text") == "Four. <b>"


def test_half_a_character_is_left_to_the_token_that_ends_it() -> None:
    token_ids = (*map(ord, "Fo"), HALF)
    before = as_written(ENGINE, reader(), cut("Fo"), token_ids)
    assert before is not None
    assert [part.text for part in to_publish(before).parts] == ["Fo"]
    assert before.reply.token_ids == token_ids


@pytest.mark.parametrize("stored", ["<think>\nHm", "Five"])
def test_ids_that_are_read_as_something_else_are_not_used(stored: str) -> None:
    assert as_written(ENGINE, reader(), cut(stored), tuple(map(ord, "Four"))) is None


@pytest.mark.parametrize(("fingerprint", "is_known"), [("scripted", True), ("other", False)])
def test_ids_of_another_model_are_not_used(fingerprint: str, is_known: bool) -> None:
    message = cut("Fo", fingerprint)
    nothing = Timings(queued_ms=0, prompt_ms=0, generation_ms=0)
    standing = StandingReply(message=message, prompt_job_id="job", timings=nothing)
    assert bool(written_ids(ENGINE, standing)) is is_known


@pytest.mark.parametrize(("reasoning", "is_shown"), [("Hm", True), ("", False)])
def test_half_a_call_is_never_shown_with_the_tokens_that_the_model_wrote(
    reasoning: str, is_shown: bool
) -> None:
    """It is text in later prompts, whatever control tokens it was written with."""
    message = ChatMessage(role="assistant", content="<tool_call>{", reasoning=reasoning)
    shown = PromptMessage.of_reply(message, token_ids=None, written_ids=(1, 2))
    assert (shown.written_ids is not None) is is_shown
