"""Drafts from the conversation itself: what followed when its newest tokens last appeared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

MATCHES: Final = (16, 8, 5, 3, 2, 1)
"""Lengths of the n-grams that are looked up, longest first."""
_EARLIER: Final = 3
"""Places before the last one that are asked what they say."""


class Agreement(IntEnum):
    """What earlier places with the same tokens before them say of a drafted token."""

    ALONE = 0
    """There are none."""
    AGREED = 1
    """All of them have that token."""
    DISPUTED = 2
    """Some have another."""


class Evidence(NamedTuple):
    """What speaks for a drafted token.

    Args:
        matched: how many tokens before it are as they were, one of `MATCHES` at most.
    """

    matched: int
    agreement: Agreement


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """What may come next.

    Args:
        token_ids: at least one.
        evidence: of each of them, provided that those before it are right.
    """

    token_ids: tuple[int, ...]
    evidence: tuple[Evidence, ...]


class Outcome(NamedTuple):
    """What came of a token that was found, whether it was used or not."""

    token: int
    evidence: Evidence
    was_right: bool


class Lookup:
    """The tokens of one conversation, kept as the characters of a string.

    Python searches strings backwards in microseconds, so that no index has to be built while other
    replies wait. No vocabulary comes near the number of characters (1,114,111).
    """

    def __init__(self) -> None:
        self._text = ""
        self._draft: Draft | None = None
        self._drafted_at = 0

    def find(self, token_ids: Sequence[int], size: int) -> Draft | None:
        """A draft of `size` tokens; None if the newest token has not appeared before.

        Where the match overlaps the end, its tokens repeat.

        Args:
            token_ids: of prompt and reply; those of the call before, and perhaps more.
        """
        self._text += "".join(map(chr, token_ids[len(self._text) :]))
        self._draft, self._drafted_at = self._found(size), len(token_ids)
        return self._draft

    def outcomes(self, token_ids: Sequence[int]) -> Iterator[Outcome]:
        """What came of the last draft, used or not: each token up to the first that was wrong.

        Args:
            token_ids: as for `find`.
        """
        if self._draft is None:
            return
        written = token_ids[self._drafted_at :]
        for token, evidence, drawn in zip(
            self._draft.token_ids, self._draft.evidence, written, strict=False
        ):
            yield Outcome(token, evidence, token == drawn)
            if token != drawn:
                return

    def _found(self, size: int) -> Draft | None:
        for matched in MATCHES:
            newest = self._text[-matched:]
            start = self._text.rfind(newest, 0, len(self._text) - 1)
            if start >= 0:
                followed = self._behind(start + matched, size)
                drafted = (followed * -(-size // len(followed)))[:size]
                earlier = list(self._earlier(newest, start, size))
                return Draft(
                    token_ids=tuple(map(ord, drafted)),
                    evidence=tuple(_evidence(matched, drafted, earlier)),
                )
        return None

    def _earlier(self, newest: str, start: int, size: int) -> Iterator[str]:
        """What followed the newest tokens in some places before `start`."""
        for _ in range(_EARLIER):
            start = self._text.rfind(newest, 0, start + len(newest) - 1)
            if start < 0:
                return
            yield self._behind(start + len(newest), size)

    def _behind(self, place: int, size: int) -> str:
        return self._text[place : place + size]


def _evidence(matched: int, drafted: str, earlier: Sequence[str]) -> Iterator[Evidence]:
    """Places that had another token are asked no further: what comes behind it is another text."""
    place = 0
    while earlier and place < len(drafted):
        asked = [text for text in earlier if len(text) > place]
        earlier = [text for text in asked if text[place] == drafted[place]]
        agreement = Agreement.ALONE
        if asked:
            agreement = Agreement.AGREED if len(earlier) == len(asked) else Agreement.DISPUTED
        yield Evidence(_level(matched + place), agreement)
        place += 1
    for length in range(matched + place, matched + len(drafted)):
        yield _ALONE[_level(length)]


def _level(matched: int) -> int:
    """The longest n-gram that is looked up and fits into a match."""
    return _LEVELS[min(matched, MATCHES[0])]


_LEVELS: Final = [
    max((length for length in MATCHES if length <= matched), default=0)
    for matched in range(MATCHES[0] + 1)
]
_ALONE: Final = {length: Evidence(length, Agreement.ALONE) for length in MATCHES}
