"""A page of an owner's list of conversations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.wire.conversation import Conversation


@dataclass(frozen=True, slots=True, kw_only=True)
class ListPage:
    """Conversations, the one that was used last in front.

    Args:
        next: the position behind which the next page begins: when a conversation was used, and its
            id; None if there is none.
    """

    conversations: tuple[Conversation, ...]
    next: str | None

    def to_wire(self) -> dict[str, Any]:
        """As clients get it."""
        return {"conversations": [each.to_wire() for each in self.conversations], "next": self.next}


def merged(pages: Sequence[ListPage], limit: int) -> ListPage:
    """One page of as many lists, which all began behind the same position."""
    ends = [_order(page.next) for page in pages if page.next is not None]
    # What lies behind the end of a page that goes on may not be next.
    known_to = max(ends, default=(-1, ""))
    candidates = (each for page in pages for each in page.conversations)
    known = sorted((each for each in candidates if _place(each) >= known_to), key=_place)[::-1]
    if len(known) > limit:
        return ListPage(conversations=tuple(known[:limit]), next=_written(_place(known[limit - 1])))
    return ListPage(conversations=tuple(known), next=_written(known_to) if ends else None)


def _place(conversation: Conversation) -> tuple[int, str]:
    """As Redis orders a sorted set: by time, and ids of the same time as texts."""
    return conversation.updated_ms, conversation.conversation_id


def _order(position: str) -> tuple[int, str]:
    used, _, conversation_id = position.rpartition("-")
    return int(float(used)), conversation_id


def _written(place: tuple[int, str]) -> str:
    return f"{place[0]}-{place[1]}"
