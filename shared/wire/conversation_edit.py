"""What an owner may change of a conversation without a turn."""

from dataclasses import dataclass
from typing import Any, Literal

from shared.wire.memory import MemoryMode


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationEdit:
    """A change; what is None stays.

    Args:
        title: empty takes it away, and the first prompt's beginning stands in its place.
        metadata: JSON, in place of what there was.
        memory: empty leaves it to the server's setting.
    """

    title: str | None = None
    is_pinned: bool | None = None
    metadata: str | None = None
    memory: MemoryMode | Literal[""] | None = None

    def arguments(self) -> dict[str, Any]:
        """As the script takes them."""
        return {
            "title": self.title or None,
            "untitled": 1 if self.title == "" else None,
            "pinned": None if self.is_pinned is None else int(self.is_pinned),
            "metadata": self.metadata,
            "memory": self.memory or None,
            "server_memory": 1 if self.memory == "" else None,
        }
