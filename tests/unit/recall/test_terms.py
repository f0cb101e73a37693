"""Text as recall compares it, in any language."""

import pytest

from worker.recall.terms import terms_of


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("My dog, Rex!", "my DOG rex"),
        ("Straße", "STRASSE"),
        ("niño", "Nino"),
        ("ＡＢＣ１２", "abc12"),
        ("مُحَمَّد", "محمد"),
    ],
)
def test_case_accents_widths_and_signs_do_not_matter(text: str, other: str) -> None:
    assert terms_of(text) == terms_of(other)


@pytest.mark.parametrize(
    ("form", "other"),
    [("allergisch", "Allergien"), ("hermanas", "hermano"), ("gardens", "gardener")],
)
def test_forms_of_a_longer_word_share_a_term(form: str, other: str) -> None:
    assert set(terms_of(form)) & set(terms_of(other))
    assert terms_of(form) != terms_of(other)


@pytest.mark.parametrize(
    ("sentence", "word"),
    [("我的狗叫小白。", "小白"), ("犬の名前はポチです", "名前"), ("หมาของฉันชื่อดำ", "ชื่อ")],
)
def test_words_are_found_where_no_spaces_part_them(sentence: str, word: str) -> None:
    assert set(terms_of(word)) <= set(terms_of(sentence))


def test_vowel_signs_do_not_part_words() -> None:
    assert terms_of("मेरा नाम, अमित।") == ["मेरा", "नाम", "अमित"]


def test_signs_alone_are_no_terms() -> None:
    assert terms_of(" ?! … — 。「」 \u200b") == []
