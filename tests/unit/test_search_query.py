"""What a search finds: words, whatever their case, accents and widths; what is shown of them."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from shared.wire.folding import fold, place_in_original
from shared.wire.messages import StoredMessage, content_of
from shared.wire.search_query import SearchQuery

TEXTS = st.text(st.sampled_from("abcÀßéİ日本が語🙂＂\"\\\n 'AE\u0301øᾳΣ\t\x07ﬁ한"), max_size=60)


def query(text: str) -> SearchQuery:
    return SearchQuery.parse(text)


def encoded(text: str) -> str:
    message = StoredMessage(
        number=1, role="user", content=text, timestamp_ms=1, tokens=1, job_id="j"
    )
    return message.encode().decode()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ("cafe", "Un CAFÉ, s'il vous plaît"),
        ("CAFÉ", "a cafe"),
        ("strasse", "Die Straße"),
        ("istanbul", "İstanbul"),
        ("oresund lodz", "Łódź, Øresund"),
        ("ελλας", "Ἑλλάς"),
        ("елка", "Ёлка"),
        ("天地", "看天地玄黄"),
        ("한국", "대한국"),
        ("ＡＢＣ", "abc"),
        ("🌊", "Sea 🌊 sea"),
        ("c++", "In C++ or C"),
        ("sea blue", "Blue is the Sea"),
        ("בראשית", "בְּרֵאשִׁית"),
        ("photo", "photographs"),
        ("don't", "I don't"),
        ('"quoted', 'he "quoted" me'),
        ("a\\b", "path a\\b"),
    ],
)
def test_words_are_found(words: str, text: str) -> None:
    assert query(words).snippet(text) is not None
    assert query(words).may_be_in(encoded(text))


@pytest.mark.parametrize(
    ("words", "text"),
    [("art", "start"), ("sea red", "The sea is blue"), ("天黄", "天地玄黄"), ("к", "ок")],
)
def test_only_whole_beginnings_of_all_words_are(words: str, text: str) -> None:
    assert query(words).snippet(text) is None


@pytest.mark.parametrize("text", ["", " \n", "\u00a8"])
def test_without_a_word_nothing_is_found(text: str) -> None:
    assert query(text).snippet("anything \u00a8") is None


@pytest.mark.parametrize(
    ("text", "snippet"),
    [
        ("The sea.", "The sea."),
        ("\n\nThe\tsea.\n", "The sea."),
        ("word " * 50 + "sea " + "word " * 50, "…" + "word " * 8 + "sea" + " word" * 23 + "…"),
        ("x" * 300 + " sea", "…" + "x" * 39 + " sea"),
        ("天" * 100 + "sea" + "地" * 200, "…" + "天" * 40 + "sea" + "地" * 117 + "…"),
    ],
)
def test_a_snippet_shows_the_surroundings_on_one_line(text: str, snippet: str) -> None:
    assert query("sea").snippet(text) == snippet


@given(TEXTS, TEXTS, TEXTS)
def test_what_is_found_was_not_sorted_out_before(before: str, words: str, behind: str) -> None:
    parsed = SearchQuery.parse(words)
    assume(parsed.patterns)
    text = f"{before} {words} {behind}"
    assert parsed.snippet(text) is not None
    assert parsed.may_be_in(encoded(text))


@given(TEXTS, TEXTS)
def test_a_place_is_found_again(before: str, behind: str) -> None:
    text = f"{before}#{behind}" * 30
    folded_place = fold(text).find("#")
    assert abs(place_in_original(text, folded_place) - text.find("#")) <= 1


@given(TEXTS)
def test_folding_twice_changes_nothing(text: str) -> None:
    assert fold(fold(text)) == fold(text)


@given(TEXTS)
def test_the_content_alone_is_that_of_the_message(text: str) -> None:
    assert content_of(encoded(text)) == text


@given(st.text(max_size=200))
def test_any_text_can_be_searched_for(text: str) -> None:
    parsed = SearchQuery.parse(text)
    if parsed.patterns:
        assert parsed.snippet(text) is not None
