"""What an owner may change of a conversation without a turn."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationEdit:
    """A change; what is None stays.

    Args:
        title: empty takes it away, and the first prompt's beginning stands in its place.
        metadata: JSON, in place of what there was.
    """

    title: str | None = None
    is_pinned: bool | None = None
    metadata: str | None = None

    def arguments(self) -> dict[str, Any]:
        """As the script takes them."""
        return {
            "title": self.title or None,
            "untitled": 1 if self.title == "" else None,
            "pinned": None if self.is_pinned is None else int(self.is_pinned),
            "metadata": self.metadata,
        }
