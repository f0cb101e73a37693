"""What a search looks for, and how a hit is shown."""

import re
from dataclasses import dataclass
from typing import Final, Self

from shared.wire.folding import fold, place_in_original

_BEFORE: Final = 40
_SNIPPET: Final = 160
"""Characters of a snippet, and how many of them stand before the first word that was found."""
_SPELT: Final = r"[0-9a-z\u00df-\u058f]"
"""What words consist of where spaces part them: there, a word is found at its beginning only."""
_ESCAPED: Final = re.compile(r'["\\\x00-\x1f]')
_CUT: Final = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchQuery:
    """Words that must all stand in one message, or in the title.

    Args:
        runs: of each word, folded, the longest part that JSON does not spell in another way.
        patterns: of the same words, for folded text.
    """

    runs: tuple[str, ...]
    patterns: tuple[re.Pattern[str], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """What a user has typed; without a word it finds nothing."""
        words = fold(text).split()
        return cls(
            runs=tuple(max(_ESCAPED.split(word), key=len) for word in words),
            patterns=tuple(map(_pattern, words)),
        )

    def may_be_in(self, json_text: str) -> bool:
        """Whether messages, as they are stored, could have all words: quick, and never wrong."""
        folded = fold(json_text)
        return all(run in folded for run in self.runs)

    def snippet(self, text: str) -> str | None:
        """The surroundings of the first word in a text; None unless all words are in it."""
        folded = fold(text)
        places = [pattern.search(folded) for pattern in self.patterns]
        found = [place.start() for place in places if place is not None]
        if not found or len(found) < len(places):
            return None
        return _around(text, place_in_original(text, min(found)))


def _pattern(word: str) -> re.Pattern[str]:
    is_spelt = re.match(_SPELT, word) is not None
    return re.compile((f"(?<!{_SPELT})" if is_spelt else "") + re.escape(word))


def _around(text: str, place: int) -> str:
    """A line of text around a place, from and to a space if there is one near."""
    start, end = max(0, place - _BEFORE), place - _BEFORE + _SNIPPET
    end = min(len(text), max(end, _SNIPPET))
    if start > 0:
        space = text.find(" ", start - 1, place - 1)
        start = start if space < 0 else space
    if end < len(text):
        space = text.rfind(" ", place + 1, end + 1)
        end = end if space < 0 else space
    line = " ".join(text[start:end].split())
    return (_CUT if start > 0 else "") + line + (_CUT if end < len(text) else "")
