"""A conversation's heading: the beginning of its first prompt."""

import unicodedata
from typing import Final

LONGEST: Final = 60
"""Characters of a heading, the mark that something was cut not counted."""
_READ: Final = 2_000
"""Characters of a prompt that are looked at."""
_CUT: Final = "…"
_JOINER: Final = "\u200d"
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_FLAG_LETTERS: Final = range(0x1F1E6, 0x1F200)
_WIDE: Final = ("W", "F")


def heading_of(prompt: str) -> str:
    """The beginning of a prompt on one line, cut between words; empty if there is nothing to show.

    Where words stand without spaces between them, as in Chinese, it is cut between characters.
    """
    text = " ".join(_shown(prompt[:_READ]).split())
    if len(text) <= LONGEST:
        return text
    return text[: _end(text)].rstrip() + _CUT


def _shown(text: str) -> str:
    """Text without what could not be seen, or would turn other text around."""
    return "".join(char for char in text if char.isspace() or _is_shown(char))


def _is_shown(char: str) -> bool:
    category = unicodedata.category(char)
    return category not in ("Cc", "Cs", "Co") and not (
        category == "Cf" and unicodedata.bidirectional(char) != "BN"
    )


def _end(text: str) -> int:
    """Where a text that is too long is cut: behind a whole word, or at least a whole character."""
    places = range(LONGEST, 0, -1)
    words = (place for place in places if _parts_words(text, place))
    characters = (place for place in places if not _is_within(text, place))
    return next(words, None) or next(characters, LONGEST)


def _parts_words(text: str, place: int) -> bool:
    if text[place] == " ":
        return True
    is_wide = any(
        unicodedata.east_asian_width(char) in _WIDE for char in text[place - 1 : place + 1]
    )
    return is_wide and not _is_within(text, place)


def _is_within(text: str, place: int) -> bool:
    """Whether a cut there would tear what is seen as one character."""
    before, behind = text[place - 1], text[place]
    if unicodedata.category(behind).startswith("M") or _JOINER in (before, behind):
        return True
    if ord(behind) in _SKIN_TONES:
        return True
    return ord(behind) in _FLAG_LETTERS and _flag_letters_before(text, place) % 2 == 1


def _flag_letters_before(text: str, place: int) -> int:
    start = place
    while start > 0 and ord(text[start - 1]) in _FLAG_LETTERS:
        start -= 1
    return place - start
