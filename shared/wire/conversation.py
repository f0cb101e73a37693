"""A conversation as its owner sees it, without its messages."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import orjson

from shared.wire.memory import MemoryMode
from shared.wire.models import ReplyModels
from shared.wire.timestamps import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """What the scripts return of a conversation.

    Args:
        window: the receipt of the last reply, as JSON; empty without one.
        pending: jobs that have not ended, in order.
        model_name: the one that a prompt has named last, else that of the last reply.
        title: what the owner has set; None if nothing.
        heading: the beginning of the first prompt; None while it has not been made.
        metadata: JSON.
        memory: what was set; None if nothing.
    """

    conversation_id: str
    context: str
    created_ms: int
    updated_ms: int
    turns: int
    tokens: int
    window: str
    pending: tuple[str, ...]
    model_name: str
    title: str | None
    heading: str | None
    is_pinned: bool
    metadata: str
    memory: MemoryMode | None = None

    @classmethod
    def decode(cls, row: Sequence[Any]) -> Self:
        """Read what `shown` in lua/lib/lists.lua returns."""
        (conversation_id, context, created, updated, turns, tokens, window, pending, models) = row[
            :9
        ]
        named, title, heading, pinned, metadata, memory = row[9:]
        return cls(
            conversation_id=conversation_id,
            context=context,
            created_ms=int(created),
            updated_ms=int(updated),
            turns=int(turns),
            tokens=int(tokens),
            window=window,
            pending=tuple(pending),
            model_name=named or ReplyModels.decode(models).last,
            title=title,
            heading=heading,
            is_pinned=pinned is not None,
            metadata=metadata,
            memory=memory,
        )

    def to_wire(self) -> dict[str, Any]:
        """The conversation object."""
        shown: dict[str, Any] = {
            "id": int(self.conversation_id),
            "title": self.title or self.heading or None,
            "context": self.context,
            "created_at": rfc3339(self.created_ms),
            "updated_at": rfc3339(self.updated_ms),
            "turns": self.turns,
            "tokens": self.tokens,
            "window": orjson.Fragment(self.window) if self.window else None,
            "pending": self.pending,
            "pinned": self.is_pinned,
            "metadata": orjson.Fragment(self.metadata),
        }
        set_or_used = {"model": self.model_name, "memory": self.memory}
        return shown | {name: value for name, value in set_or_used.items() if value}
