"""Drafts from the conversation itself: what followed when its newest tokens last appeared."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MATCHES: Final = (16, 8, 5, 3, 2)
"""Lengths of the n-grams that are looked up, longest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What may come next.

    Args:
        token_ids: at least one.
        matched: length of the n-gram that preceded them, one of `MATCHES`.
    """

    token_ids: tuple[int, ...]
    matched: int


class Lookup:
    """The tokens of one conversation, kept as the characters of a string.

    Python searches strings backwards in microseconds, so that no index has to be built while other
    replies wait. No vocabulary comes near the number of characters (1,114,111).
    """

    def __init__(self) -> None:
        self._text = ""

    def find(self, token_ids: Sequence[int], size: int) -> Draft | None:
        """A draft of `size` tokens; None if the newest tokens have not appeared before.

        Where the match overlaps the end, its tokens repeat.

        Args:
            token_ids: of prompt and reply; those of the call before, and perhaps more.
        """
        self._text += "".join(map(chr, token_ids[len(self._text) :]))
        for matched in MATCHES:
            start = self._text.rfind(self._text[-matched:], 0, len(self._text) - 1)
            if start >= 0:
                followed = self._text[start + matched :][:size]
                repeated = followed * -(-size // len(followed))
                return Draft(token_ids=tuple(map(ord, repeated[:size])), matched=matched)
        return None
