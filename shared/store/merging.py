"""One page of what several lists have, each with its newest in front."""

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

Item = TypeVar("Item")
Place = tuple[int, str]
"""When something was used last, in ms, and its id: as Redis orders a sorted set."""


def place(position: str) -> Place:
    """Read a position, as clients get it."""
    used, _, conversation_id = position.rpartition("-")
    return int(float(used)), conversation_id


def position(of: Place) -> str:
    """As clients get it."""
    return f"{of[0]}-{of[1]}"


def merged(
    pages: Sequence[Iterable[Item]],
    ends: Iterable[Place],
    limit: int,
    place_of: Callable[[Item], Place],
) -> tuple[list[Item], Place | None]:
    """The first items of pages that all begin behind the same place, and where the next ones do.

    Args:
        ends: where those pages end that others follow.
    """
    # What lies behind the end of a page that goes on may not be next.
    known_to = max(ends, default=None)
    items = sorted(chain.from_iterable(pages), key=place_of, reverse=True)
    known = [item for item in items if known_to is None or place_of(item) >= known_to]
    if len(known) > limit:
        return known[:limit], place_of(known[limit - 1])
    return known, known_to
