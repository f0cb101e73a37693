"""Probabilities are those of the text's tokens, and of no others."""

import orjson
from hypothesis import given
from hypothesis import strategies as st

from worker.engine.interface import DrawnLogprob, Part, PartKind, TokenLogprob
from worker.published_logprobs import published_logprobs


def published(parts: list[tuple[PartKind, str]], *tokens: str | bytes) -> list[list[str]]:
    """The texts of the tokens that are published with each part."""
    drawn = [
        DrawnLogprob(TokenLogprob(token.encode() if isinstance(token, str) else token, -0.5))
        for token in tokens
    ]
    lists = published_logprobs([Part(kind, text) for kind, text in parts], drawn)
    return [[entry["token"] for entry in orjson.loads(each or "[]")] for each in lists]


def test_markup_and_thoughts_in_front_of_the_text_have_none() -> None:
    parts: list[tuple[PartKind, str]] = [("reasoning", "Hi."), ("text", "Hi")]
    assert published(parts, "Hi", ".", "</think>", "\n\n", "H", "i") == [[], ["H", "i"]]


def test_a_stop_string_and_a_call_behind_the_text_have_none() -> None:
    assert published([("text", "Hi")], "H", "i", " END") == [["H", "i"]]
    parts: list[tuple[PartKind, str]] = [("text", "Wait."), ("call", "{}"), ("text", "So")]
    assert published(parts, "Wait", ".", "<call>", "Wait.", "</call>", "So") == [
        ["Wait", "."],
        [],
        ["So"],
    ]


def test_a_token_that_is_text_in_part_is_the_texts() -> None:
    assert published([("text", "Hi")], "</think>H", "i\n") == [["</think>H", "i\n"]]
    assert published([("text", "é")], b"\xc3", b"\xa9") == [["\ufffd", "\ufffd"]]


def test_text_that_was_held_back_has_what_has_come_since() -> None:
    assert published([("text", " \nyes")], "yes") == [["yes"]]


@given(
    st.lists(
        st.tuples(st.sampled_from(["text", "reasoning"]), st.text("ab", min_size=1, max_size=3))
    )
)
def test_no_token_is_published_twice(parts: list[tuple[PartKind, str]]) -> None:
    letters = [letter for _, text in parts for letter in text]
    lists = published(parts, *letters)
    assert sum(map(len, lists)) <= len(letters)
    for (kind, text), tokens in zip(parts, lists, strict=True):
        assert "".join(tokens) == (text if kind == "text" else "")
