"""Cells: the parts of a namespace. Where anything is, only this file knows.

A cell is what a namespace without cells is: all keys under one prefix, and one queue with its
scripts. Nothing in one cell refers to another. Ids say in which cell they are; an owner's data are
in the owner's own cell, its conversations in that cell, too, or spread over all of them.
"""

import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from shared import ids
from shared.config import Settings
from shared.wire.limits import DEFAULT_OWNER

_SPREAD: Final = re.compile(r"\.spread-([1-9]\d{0,2})")
"""At the end of an owner's id: its conversations are in so many cells."""
_JOB_DIGITS: Final = 2
"""Of an id of a job or a share: the last ones, hexadecimal, are its cell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewIds:
    """Ids of a turn that is about to be submitted: both in one cell."""

    job_id: str
    conversation_id: str


class Cells:
    """All cells of a namespace.

    Args:
        settings: of the namespace.
    """

    def __init__(self, settings: Settings) -> None:
        self.number = settings.cells
        self.settings: tuple[Settings, ...] = (settings,)
        """Of each cell: its server, its names, its share of what is limited."""
        if self.number > 1:
            self.settings = tuple(map(settings.of_cell, range(self.number)))

    @property
    def all(self) -> range:
        return range(self.number)

    # Where what has an id is.

    def of_conversation(self, conversation_id: str) -> int:
        return int(conversation_id) % self.number

    def of_job(self, job_id: str) -> int:
        """The cell of a job, or of a share."""
        return int(job_id[-_JOB_DIGITS:], 16) % self.number

    def of_owner(self, owner_id: str) -> int:
        """The cell of what an owner has besides conversations."""
        return _ranked(owner_id, self.number)[0]

    def spread_of(self, owner_id: str) -> Sequence[int]:
        """Cells of an owner's conversations.

        One, so that its limits, its list and its turn are exact, unless its id wants more. Without
        API keys everybody is one owner, without limits.
        """
        if owner_id == DEFAULT_OWNER:
            return self.all
        return _ranked(owner_id, self.number)[: spread_in(owner_id)]

    def of_text(self, owner_id: str, text: str) -> int:
        """One of the owner's cells, always the same one for a text."""
        spread = self.spread_of(owner_id)
        digest = hashlib.blake2b(f"{owner_id}\0{text}".encode(), digest_size=8).digest()
        return spread[int.from_bytes(digest) % len(spread)]

    # New ids.

    def new_conversation(self, cell: int) -> str:
        if self.number == 1:
            return ids.new_conversation()
        first = cell or self.number
        return str(first + self.number * secrets.randbelow(_steps(first, self.number)))

    def new_job(self, cell: int) -> str:
        return self.moved(ids.new_job(), cell)

    def new_turn(self, cell: int) -> NewIds:
        return NewIds(job_id=self.new_job(cell), conversation_id=self.new_conversation(cell))

    def moved(self, job_id: str, cell: int) -> str:
        """A new id of a job or a share, as one of this cell."""
        if self.number == 1:
            return job_id
        return f"{job_id[:-_JOB_DIGITS]}{cell:0{_JOB_DIGITS}x}"


def spread_owner(owner_id: str, number: int) -> str:
    """The id of an owner whose conversations are to be in so many cells."""
    return f"{owner_id}.spread-{number}" if number > 1 else owner_id


def spread_in(owner_id: str) -> int:
    """In how many cells an owner's conversations are, if there are as many."""
    found = _SPREAD.search(owner_id)
    return int(found[1]) if found is not None and found.end() == len(owner_id) else 1


def _steps(first: int, step: int) -> int:
    """How many ids there are from the first one on, a step apart."""
    return (ids.MAX_CONVERSATION - first) // step + 1


@lru_cache(maxsize=4096)
def _ranked(name: str, number: int) -> tuple[int, ...]:
    """Numbers below another by rendezvous hashing: one more changes few names' first."""

    def weight(each: int) -> bytes:
        return hashlib.blake2b(f"{each}\0{name}".encode(), digest_size=8).digest()

    return tuple(sorted(range(number), key=weight))
