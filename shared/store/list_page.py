"""A page of an owner's list of conversations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.store.merging import Place, merged, place, position
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


def merged_pages(pages: Sequence[ListPage], limit: int) -> ListPage:
    """One page of as many lists, which all began behind the same position."""
    shown, end = merged(
        [page.conversations for page in pages],
        [place(page.next) for page in pages if page.next is not None],
        limit,
        place_of,
    )
    return ListPage(conversations=tuple(shown), next=None if end is None else position(end))


def place_of(conversation: Conversation) -> Place:
    """Where it stands in its owner's list."""
    return conversation.updated_ms, conversation.conversation_id
