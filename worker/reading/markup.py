"""Finds markup in text that arrives in pieces."""

from collections.abc import Sequence
from typing import Final

MOST_BLANKS: Final = 256
"""Blanks that may stand between markup and what belongs to it: each new one has to look at those
before."""


def behind_blanks(text: str, position: int, blanks: str = " \t\r\n") -> int:
    """The position behind blanks; behind too many of them it is that of one more."""
    ahead = text[position : position + MOST_BLANKS + 1]
    return position + len(ahead) - len(ahead.lstrip(blanks))


def without_blanks(text: str, blanks: str = " \t\r\n") -> str:
    """A text without the blanks at its end, of which at most so many are taken off."""
    end = text[-MOST_BLANKS:]
    return text[: len(text) - len(end)] + end.rstrip(blanks)


def held_length(text: str, marks: Sequence[str]) -> int:
    """Length of the longest end of a text that one of the marks begins with."""
    longest = min(len(text), max(map(len, marks), default=1) - 1)
    for length in range(longest, 0, -1):
        end = text[-length:]
        if any(mark.startswith(end) for mark in marks):
            return length
    return 0


def first_of(text: str, marks: Sequence[str]) -> tuple[int, str] | None:
    """Where the first of the marks stands, and which it is; of two at one place the longer."""
    found = [(at, -len(mark), mark) for mark in marks if (at := text.find(mark)) >= 0]
    if not found:
        return None
    at, _, mark = min(found)
    return at, mark


def begins_of(opening: str, before: str) -> tuple[str, ...]:
    """Markup that begins calls: with their section or, if nothing else looks like it, without."""
    marks = [opening.strip()]
    if before.strip()[:1] in ("<", "["):
        marks.append(before.strip())
    return tuple(dict.fromkeys(mark for mark in marks if mark))
