"""Finds markup in text that arrives in pieces.

Models write more or fewer blanks between two tags than their templates do: these do not count.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple

HOLE: Final = "\0"
"""Stands for a name that markup repeats."""
_BLANKS: Final = " \t\r\n"
MOST_BLANKS: Final = 256
"""Blanks that may stand between markup and what belongs to it: each new one has to look at those
before."""
_BORDER: Final = re.compile(r"(?<=[>\]])(?<!\[>)\s*(?=[<\[]|\]<\])(?!<\])")
"""Between two tags; `]<]name[>[` is one."""


class Found(NamedTuple):
    """A mark in a text."""

    start: int
    end: int
    mark: str


@lru_cache(maxsize=4096)
def pieces_of(mark: str) -> tuple[str, ...]:
    """A mark cut between its tags, without the blanks there and at its ends."""
    return tuple(piece for piece in _BORDER.split(mark.strip()) if piece)


def find_mark(text: str, marks: Sequence[str], start: int = 0) -> Found | None:
    """The first of the marks; of two at one place the longer."""
    found = [whole for mark in marks if (whole := _first(text, mark, start)) is not None]
    return min(found, key=lambda whole: (whole.start, -whole.end), default=None)


def match_mark(text: str, position: int, mark: str) -> int | None:
    """Where a mark that begins at a position ends; None if it is not there."""
    pieces = pieces_of(mark)
    count, end, _ = _followed(text, position, pieces)
    return end if count == len(pieces) else None


def is_begun(text: str, position: int, mark: str) -> bool:
    """Whether a text ends in the midst of a mark that begins at a position, or before it."""
    return _followed(text, position, pieces_of(mark))[2]


def skipped(text: str, position: int, mark: str, blanks: str = _BLANKS) -> tuple[int, bool]:
    """The position behind those tags of a mark that are there, and whether others may follow.

    Args:
        blanks: what may stand in front of the mark.
    """
    pieces = pieces_of(mark)
    start = behind_blanks(text, position, blanks)
    count, end, is_open = _followed(text, start, pieces)
    return (end if count else position), is_open


def begun_length(text: str, marks: Sequence[str]) -> int:
    """Length of the longest end of a text that a mark may begin with."""
    firsts = [pieces_of(mark)[0] for mark in marks]
    longest = held_length(text, firsts)
    for mark, first in zip(marks, firsts, strict=True):
        at = text.find(first)
        while at >= 0 and not is_begun(text, at, mark):
            at = text.find(first, at + 1)
        longest = max(longest, len(text) - at if at >= 0 else 0)
    return longest


def held_length(text: str, marks: Sequence[str]) -> int:
    """Length of the longest end of a text that one of the marks begins with, to the letter."""
    longest = min(len(text), max(map(len, marks), default=1) - 1)
    for length in range(longest, 0, -1):
        end = text[-length:]
        if any(mark.startswith(end) for mark in marks):
            return length
    return 0


def first_of(text: str, marks: tuple[str, ...], start: int = 0) -> tuple[int, str] | None:
    """Where the first of the marks stands to the letter, and which it is; the longer of two.

    Args:
        start: where to look from.
    """
    found = _any_of(marks).search(text, start)
    return None if found is None else (found.start(), found[0])


@lru_cache(maxsize=64)
def _any_of(marks: tuple[str, ...]) -> re.Pattern[str]:
    # To look for each by itself would read all that follows for one that is not there.
    return re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True))))


def begins_of(opening: str, before: str) -> tuple[str, ...]:
    """Markup that begins calls: with all around them or, if nothing else looks like it, without."""
    marks = [opening.strip()]
    for mark in (before.strip(), *pieces_of(before)[-1:]):
        if mark[:1] in ("<", "["):
            marks.append(mark)
    return tuple(dict.fromkeys(mark for mark in marks if mark))


def behind_blanks(text: str, position: int, blanks: str = _BLANKS) -> int:
    """The position behind blanks; behind too many of them it is that of one more."""
    ahead = text[position : position + MOST_BLANKS + 1]
    return position + len(ahead) - len(ahead.lstrip(blanks))


def without_blanks(text: str, blanks: str = _BLANKS) -> str:
    """A text without the blanks at its end, of which at most so many are taken off."""
    end = text[-MOST_BLANKS:]
    return text[: len(text) - len(end)] + end.rstrip(blanks)


def _first(text: str, mark: str, start: int) -> Found | None:
    first = pieces_of(mark)[0]
    at = text.find(first, start)
    while at >= 0:
        end = match_mark(text, at, mark)
        if end is not None:
            return Found(at, end, mark)
        at = text.find(first, at + 1)
    return None


def _followed(text: str, position: int, pieces: Sequence[str]) -> tuple[int, int, bool]:
    """How many pieces stand there, where the last of them ends, whether more may follow."""
    end = position
    for count, piece in enumerate(pieces):
        at = behind_blanks(text, end) if count else position
        if not text.startswith(piece, at):
            rest = text[at : at + len(piece)]
            return count, end, at + len(rest) == len(text) and piece.startswith(rest)
        end = at + len(piece)
    return len(pieces), end, False
