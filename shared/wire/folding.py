"""Text as a search compares it: case, accents and widths do not matter."""

import functools
import re
import unicodedata
from typing import Final

_ACCENTS: Final = re.compile(r"[\u0300-\u036f\u0591-\u05bd\u05bf-\u05c7\u064b-\u0652\u0670]+")
"""Latin, Greek and Cyrillic accents, and the vowel points of Hebrew and Arabic. Marks of other
scripts tell letters apart."""
_LETTERS: Final = {
    **{"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i"},
    **{"æ": "ae", "œ": "oe", "þ": "th"},
}
"""Letters that Unicode does not take apart."""
_WHOLE: Final = re.compile(f"[{''.join(_LETTERS)}]")
_FOREIGN: Final = re.compile(r"[^\x00-\x7f]+")
_SHORT: Final = 8
"""Characters of runs that come again and again in languages with accents: these are remembered."""
_BLOCK: Final = 1_000


def fold(text: str) -> str:
    """Text without case, accents and widths; its length may differ."""
    small = text.lower()
    return small if small.isascii() else _FOREIGN.sub(_fold_run, small)


def _fold_run(run: re.Match[str]) -> str:
    letters = run[0]
    return _fold_word(letters) if len(letters) <= _SHORT else _fold_letters(letters)


def _fold_letters(letters: str) -> str:
    apart = unicodedata.normalize("NFKD", letters.casefold())
    folded = _ACCENTS.sub("", apart).casefold()
    return _WHOLE.sub(lambda letter: _LETTERS[letter[0]], folded)


_fold_word = functools.lru_cache(maxsize=4_096)(_fold_letters)


def place_in_original(text: str, folded_place: int) -> int:
    """Where a text has what is at this place of `fold(text)`, or up to a character before."""
    passed = 0
    for start in range(0, len(text), _BLOCK):
        block = text[start : start + _BLOCK]
        length = len(fold(block))
        if passed + length > folded_place:
            return start + _place_in_block(block, folded_place - passed)
        passed += length
    return len(text)


def _place_in_block(block: str, folded_place: int) -> int:
    passed = 0
    for place, char in enumerate(block):
        passed += len(fold(char))
        if passed > folded_place:
            return place
    return len(block)
