"""From text to the terms that recall compares, in any language.

No list of stop words, no stemmer: both would have to know the language. Words that many passages
have are told by counting (`index.py`).
"""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from shared.wire.folding import fold

_WORD: Final = re.compile(
    r"[^\s\x00-/:-@\[-`{-\xa9\xab-\xb1\xb4-\xb8\xbb-\xbf\xd7\xf7"
    r"\u055a-\u055f\u0589\u05be\u05c0\u05c3\u05f3\u05f4\u060c\u060d\u061b\u061f\u066a-\u066d\u06d4"
    r"\u0964\u0965\u2000-\u206f\u2190-\u2bff\u2e00-\u2e7f\u3000-\u303f\u30fb"
    r"\ufe10-\ufe6f\uff00-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65]+"
)
"""Whatever is no space, punctuation or sign. Not `\\w`, which parts words at vowel signs."""
_UNSPACED: Final = (
    "\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    "\U00020000-\U0003ffff"
)
_RUN: Final = re.compile(f"([{_UNSPACED}]+)")
"""Scripts without spaces: Thai, Lao, Tibetan, Burmese, Khmer, kana, Chinese characters."""
_STEM: Final = 5
"""Letters that the forms of a longer word are taken to share."""


def terms_of(text: str) -> list[str]:
    """Words, the beginnings of longer ones, and pairs of letters where no spaces part words."""
    terms: list[str] = []
    for word in _WORD.findall(fold(text)):
        for place, part in enumerate(_RUN.split(word)):
            terms += _pairs(part) if place % 2 else _forms(part)
    return terms


def _pairs(run: str) -> Iterator[str]:
    if len(run) == 1:
        yield run
    for first, second in pairwise(run):
        yield first + second


def _forms(word: str) -> Iterator[str]:
    if word:
        yield word
    if len(word) > _STEM:
        yield word[:_STEM] + "-"
