"""Headings: the beginning of a prompt, cut where nobody minds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.heading import LONGEST, heading_of

WORDS = st.text(st.sampled_from("abcdé日本語🙂👩🏽‍🇩🇪e\u0301 \n\t\u200d\u202e\x07"), max_size=200)


@pytest.mark.parametrize(
    ("prompt", "heading"),
    [
        ("Name a famous person.", "Name a famous person."),
        ("  two\n\nlines\there ", "two lines here"),
        ("word " * 30, "word " * 11 + "word…"),
        ("x" * 100, "x" * LONGEST + "…"),
        ("天" * 100, "天" * LONGEST + "…"),
        ("see 天地玄黄" * 12, ("see 天地玄黄" * 12)[:59] + "…"),
        ("x" * 59 + "e\u0301" + "x" * 9, "x" * 59 + "…"),
        ("a" * 59 + "👩🏽‍🚀 flies", "a" * 59 + "…"),
        ("🇩🇪" * 40, "🇩🇪" * 30 + "…"),
        ("x" * 59 + "🇩🇪" * 4, "x" * 59 + "…"),
        ("\x07\u202e", ""),
        ("", ""),
    ],
)
def test_it_ends_behind_a_whole_word_or_character(prompt: str, heading: str) -> None:
    assert heading_of(prompt) == heading


@given(WORDS)
def test_it_is_one_short_line_that_begins_as_the_prompt_does(prompt: str) -> None:
    heading = heading_of(prompt)
    assert len(heading) <= LONGEST + 1
    assert "\n" not in heading
    assert heading == heading.strip()
    shown = " ".join("".join(c for c in prompt if c not in "\u202e\x07").split())
    assert shown.startswith(heading.removesuffix("…").rstrip())
    assert heading == shown or heading.endswith("…")


@given(st.text(max_size=400))
def test_any_text_has_a_heading(prompt: str) -> None:
    heading_of(prompt).encode()
