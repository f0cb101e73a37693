"""From token bytes to text: whole characters, no stop string, nothing lost."""

import codecs
import itertools
from collections.abc import Sequence

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from worker.engine.detokenizer import Decoded, Detokenizer

texts = st.text(st.characters(codec="utf-8"), max_size=60)
scripts = st.text("ab<é€😀", max_size=60)
"""Few letters, so that stop strings are met, nearly met, and overlap."""


def split_at(data: bytes, borders: Sequence[int]) -> list[bytes]:
    """The tokens that come of cutting `data` at these places."""
    cuts = [0, *sorted(min(border, len(data)) for border in borders), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(cuts)]


def decoded(tokens: Sequence[bytes], stop: Sequence[str] = ()) -> list[Decoded]:
    """Every piece of a reply that consists of these tokens (their ids are their places)."""
    text = Detokenizer(tokens.__getitem__, stop)
    pieces: list[Decoded] = []
    for token in range(len(tokens)):
        piece = text.push(token)
        if piece is not None:
            pieces.append(piece)
            if piece.stopped_at:
                return pieces
    return [*pieces, text.finish()]


def joined(pieces: Sequence[Decoded]) -> str:
    return "".join(piece.text for piece in pieces)


borders = st.lists(st.integers(0, 240), max_size=40)


@given(texts, borders)
def test_the_pieces_joined_are_the_text(text: str, cuts: list[int]) -> None:
    assert joined(decoded(split_at(text.encode(), cuts))) == text


@given(texts, borders, st.lists(scripts.filter(bool), max_size=3))
def test_every_piece_is_the_text_of_its_own_tokens(
    text: str, cuts: list[int], stop: list[str]
) -> None:
    tokens = split_at(text.encode(), cuts)
    for piece in decoded(tokens, stop):
        own = b"".join(tokens[i] for i in piece.token_ids).decode("utf-8", "ignore")
        assert own.startswith(piece.text) if piece.stopped_at else own == piece.text


@given(texts, borders, st.lists(scripts.filter(bool), max_size=3))
def test_every_token_is_given_out_once_and_in_order(
    text: str, cuts: list[int], stop: list[str]
) -> None:
    tokens = split_at(text.encode(), cuts)
    pieces = decoded(tokens, stop)
    given_out = [token for piece in pieces for token in piece.token_ids]
    assert given_out == list(range(len(given_out)))
    assert len(given_out) == len(tokens) or pieces[-1].stopped_at


@given(scripts, borders, st.lists(scripts.filter(bool), min_size=1, max_size=3))
@example("ab<ab<<", [1, 2, 3, 4, 5, 6], ["b<<", "a<"])
def test_a_stop_string_is_never_given_out(text: str, cuts: list[int], stop: list[str]) -> None:
    pieces = decoded(split_at(text.encode(), cuts), stop)
    reply = joined(pieces)
    assert text.startswith(reply)
    assert not any(string in reply for string in stop)
    last = pieces[-1].stopped_at
    assert (last is not None) == any(string in text for string in stop)
    assert last is None or text[len(reply) :].startswith(last)


@given(scripts, borders, st.lists(scripts.filter(bool), min_size=1, max_size=3))
def test_the_reply_ends_where_a_stop_string_begins(
    text: str, cuts: list[int], stop: list[str]
) -> None:
    pieces = decoded(split_at(text.encode(), cuts), stop)
    if pieces[-1].stopped_at:
        assert text[len(joined(pieces)) :].startswith(tuple(stop))
    else:
        assert joined(pieces) == text


@given(scripts, st.lists(scripts.filter(bool), min_size=1, max_size=3))
def test_byte_by_byte_the_first_stop_string_to_be_complete_ends_the_reply(
    text: str, stop: list[str]
) -> None:
    data = text.encode()
    pieces = decoded(split_at(data, range(len(data))), stop)
    ends = [text.find(string) + len(string) for string in stop if string in text]
    if ends:
        seen = text[: min(ends)]
        assert joined(pieces) == seen[: min(seen.find(s) for s in stop if s in seen)]


@given(st.binary(max_size=60), borders)
def test_bytes_that_are_no_text_become_replacement_characters(data: bytes, cuts: list[int]) -> None:
    whole = codecs.getincrementaldecoder("utf-8")("replace").decode(data)
    assert joined(decoded(split_at(data, cuts))) == whole


@given(st.binary(max_size=60), borders, st.lists(texts.filter(bool), max_size=3))
def test_no_bytes_ever_raise(data: bytes, cuts: list[int], stop: list[str]) -> None:
    for piece in decoded(split_at(data, cuts), stop):
        piece.text.encode()


def test_a_character_waits_for_its_last_byte() -> None:
    tokens = [b"a", b"\xf0\x9f", b"\x98", b"\x80", b"b"]
    assert decoded(tokens) == [
        Decoded("a", (0,)),
        Decoded("😀", (1, 2, 3)),
        Decoded("b", (4,)),
        Decoded("", ()),
    ]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_reply_that_ends_inside_a_character_ends_before_it(length: int) -> None:
    rest = "😀".encode()[:length]
    assert decoded([b"a", rest]) == [Decoded("a", (0,)), Decoded("", (1,))]
    assert joined(decoded([b"a" + rest])) == "a"


def test_a_possible_stop_string_is_held_back_until_it_is_none() -> None:
    assert decoded([b"one <", b"|", b"two"], ["<|end|>"]) == [
        Decoded("one <|two", (0, 1, 2)),
        Decoded("", ()),
    ]


def test_a_stop_string_across_tokens_is_cut_off_with_all_behind_it() -> None:
    assert decoded([b"yes", b" EN", b"D no"], ["END"]) == [
        Decoded("yes", (0,)),
        Decoded(" ", (1, 2), stopped_at="END"),
    ]


def test_the_earliest_of_several_stop_strings_counts() -> None:
    assert joined(decoded([b"one two three"], ["three", "two"])) == "one "


def test_a_stop_string_that_was_begun_is_given_out_at_the_end() -> None:
    assert joined(decoded([b"5 <"], ["</s>"])) == "5 <"


def test_an_empty_reply_is_an_empty_piece() -> None:
    assert decoded([]) == [Decoded("", ())]


@pytest.mark.parametrize("silent", [[b""], [b"", b"a", b""]])
def test_tokens_without_text_are_given_out_with_their_ids(silent: list[bytes]) -> None:
    pieces = decoded(silent)
    assert [token for piece in pieces for token in piece.token_ids] == list(range(len(silent)))
