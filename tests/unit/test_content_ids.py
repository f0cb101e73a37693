"""The ids of a reply's text are kept where tokenizing it again would give others."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.publication import PieceRecord
from tests.scripted import TEMPLATE, ScriptedEngine, control
from tests.unit.test_prompt import WIDE, claim, history
from worker.completion import finish_reply
from worker.content_ids import ids_to_keep
from worker.engine.interface import End
from worker.engine.prefixes import common_prefix
from worker.generation import GeneratedReply
from worker.prompt.build import build_prompt
from worker.prompt.writer import PromptWriter
from worker.template.chat_template import ChatTemplate

_FIRST_BYTE = 0x120000
_FIRST_PAIR = 0x130000


class Bytes(ScriptedEngine):
    """Tokens of a byte, which tokenizing never gives, beside those of a character."""

    def detokenize(self, token_ids: Sequence[int], *, controls: bool = True) -> str:
        pieces = [
            bytes([token - _FIRST_BYTE])
            if token >= _FIRST_BYTE
            else super(Bytes, self).detokenize([token], controls=controls).encode()
            for token in token_ids
        ]
        return b"".join(pieces).decode("utf-8", "replace")


ENGINE = Bytes()


def spelled(text: str) -> tuple[int, ...]:
    return tuple(_FIRST_BYTE + byte for byte in text.encode())


def plain(text: str) -> tuple[int, ...]:
    return tuple(ENGINE.tokenize(text))


def test_ids_that_tokenizing_gives_are_not_kept() -> None:
    assert ids_to_keep(ENGINE, plain("Hi"), "Hi") is None
    assert ids_to_keep(ENGINE, plain("<think>So.</think>Hi"), "Hi") is None
    assert ids_to_keep(ENGINE, (*plain("Hi"), control("end")), "Hi") is None
    assert ids_to_keep(ENGINE, (), "") is None


def test_the_ids_of_an_answer_are_kept_without_its_thought() -> None:
    written = (*plain("<think>So: é.</think>\n\n"), control("end"), *spelled("Né"))
    assert ids_to_keep(ENGINE, written, "Né") == spelled("Né")


def test_the_ids_of_an_answer_are_kept_without_its_stop_string() -> None:
    assert ids_to_keep(ENGINE, (*spelled("Hé"), *plain("END")), "Hé") == spelled("Hé")


def test_text_that_ends_within_a_token_has_no_ids() -> None:
    written = (*spelled("é"), 0x1F986, *plain("x"))
    assert ids_to_keep(ENGINE, written, "\ufffd") is None
    assert ids_to_keep(ENGINE, written, "other") is None


@given(
    st.lists(st.tuples(st.text("aé🦆 \n", max_size=3), st.booleans()), max_size=6),
    st.integers(0, 6),
    st.integers(0, 6),
)
def test_what_is_kept_always_decodes_to_the_text(
    pieces: list[tuple[str, bool]], start: int, end: int
) -> None:
    written = tuple(
        token for text, is_spelled in pieces for token in (spelled if is_spelled else plain)(text)
    )
    text = "".join(text for text, _ in pieces[start:end])
    kept = ids_to_keep(ENGINE, written, text)
    if kept is not None:
        assert ENGINE.detokenize(kept) == text
        assert kept != plain(text)


@pytest.mark.parametrize("text", ["é", "a é🦆"])
def test_ids_are_kept_wherever_they_stand(text: str) -> None:
    for before in ("", "x", "🦆", text):
        for behind in ("", "y", "🦆"):
            written = (*plain(before), *spelled(text), *plain(behind))
            assert ids_to_keep(ENGINE, written, text) == spelled(text)


def cached_of_next(template: str, *pieces: PieceRecord) -> int:
    """How many tokens of a reply its next prompt begins with, behind the prompt before."""
    writer = PromptWriter(ENGINE, ChatTemplate(template))
    end = End("stop", cached_tokens=0, prompt_ms=0.0, generation_ms=0.0)
    generated = GeneratedReply(pieces=pieces, unpublished=(), end=end)
    first = build_prompt(writer, claim("Hi"), history(), WIDE)
    done = finish_reply(writer, claim("Hi"), first, generated, WIDE).completion
    past = history(done.user, replace(done.assistant, number=2))
    second = build_prompt(writer, claim("And?"), past, WIDE)
    evaluated = (*first.token_ids, *generated.token_ids)
    return common_prefix(second.token_ids, evaluated) - len(first.token_ids)


def test_a_reply_cut_at_a_stop_string_is_in_the_next_turns_cache() -> None:
    text = PieceRecord(text="Hé ", token_ids=(*spelled("Hé "), *plain("END")))
    assert cached_of_next(TEMPLATE, text) == len(spelled("Hé "))


def test_an_answer_behind_a_thought_that_stays_in_view_is_in_the_next_turns_cache() -> None:
    """The stop string is not shown, so the reply is not shown as it was written."""
    thought, answer = plain("[thought Why?"), (*plain("]"), *spelled("Só."))
    pieces = (
        PieceRecord(kind="reasoning", text="Why?", token_ids=thought),
        PieceRecord(text="Só.", token_ids=(*answer, *plain("END"))),
    )
    assert cached_of_next(TEMPLATE, *pieces) == len(thought) + len(answer)
