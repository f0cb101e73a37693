"""Conversations as resources: shown, paged through, deleted."""

from dataclasses import dataclass
from typing import Any

import orjson
from redis.asyncio import Redis

from shared.config import Settings
from shared.keys import Keys
from shared.schema import MessageObject, StoredMessage, decode_messages, rfc3339
from shared.scripts import Scripts
from shared.turns import expiries


@dataclass(frozen=True, slots=True)
class Page:
    """Some messages, oldest first, and the `before` of the page before them, or None."""

    messages: tuple[StoredMessage, ...]
    next: int | None

    def to_wire(self) -> dict[str, Any]:
        return {"messages": [_message(one) for one in self.messages], "next": self.next}


class Conversations:
    """Reads and deletes; everything answers None or False for what is not this owner's."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._call = Scripts(redis, keys, "show", "page", "delete").call
        self._expiries = expiries(settings)

    async def show(self, conversation: str, owner: str) -> dict[str, Any] | None:
        """The conversation object."""
        found = await self._call("show", conversation=conversation, owner=owner)
        if found is None:
            return None
        context, created, updated, turns, tokens, window, pending = found
        return {
            "id": int(conversation),
            "context": context,
            "created_at": rfc3339(int(created)),
            "updated_at": rfc3339(int(updated)),
            "turns": int(turns),
            "tokens": int(tokens),
            "window": orjson.Fragment(window) if window else None,
            "pending": pending,
        }

    async def page(self, conversation: str, owner: str, limit: int, before: int) -> Page | None:
        """The newest `limit` messages numbered below `before` (0: all)."""
        found = await self._call(
            "page", conversation=conversation, owner=owner, limit=limit, before=before
        )
        if found is None:
            return None
        next_before, number, messages = found
        # The one in front of them was read along.
        return Page(decode_messages(messages, int(number))[-limit:], int(next_before) or None)

    async def delete(self, conversation: str, owner: str) -> bool:
        """Cancel its pending turns and remove everything of it."""
        answer = await self._call(
            "delete", conversation=conversation, owner=owner, **self._expiries
        )
        return bool(answer == "OK")


def _message(message: StoredMessage) -> MessageObject:
    return {
        "number": message.number,
        "role": message.role,
        "content": message.content,
        "timestamp": rfc3339(message.timestamp_ms),
        "tokens": message.tokens,
        "job": message.job,
    }
