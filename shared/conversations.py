"""Conversations as resources: shown, paged through, deleted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from redis.asyncio import Redis

from shared.config import Settings
from shared.keys import Keys
from shared.messages import StoredMessage, decode_messages
from shared.schema import MessageObject, rfc3339
from shared.scripts import Scripts
from shared.turns import expiries

_FOR_RESPONSES: Final = ("forget", "begin", "label")


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
        self._call = Scripts(redis, keys, "show", "page", "delete", "list", *_FOR_RESPONSES).call
        self._expiries = expiries(settings)

    async def show(self, conversation: str, owner: str) -> dict[str, Any] | None:
        """The conversation object."""
        found = await self._call("show", conversation=conversation, owner=owner)
        return _conversation(conversation, *found) if found is not None else None

    async def forget_job(self, job: str, owner: str) -> bool:
        """Remove a job; what it added to its conversation stays."""
        answer = await self._call("forget", job=job, owner=owner, **self._expiries)
        return bool(answer == "OK")

    async def begin(self, conversation: str, owner: str, metadata: str) -> bool:
        """An empty conversation; False if the id is taken."""
        answer = await self._call(
            "begin",
            conversation=conversation,
            owner=owner,
            metadata=metadata,
            **self._expiries,
        )
        return bool(answer == "OK")

    async def label(
        self, conversation: str, owner: str, metadata: str | None = None
    ) -> tuple[int, str] | None:
        """When it was made, in ms, and its metadata, which are replaced first if there are any."""
        found = await self._call("label", conversation=conversation, owner=owner, metadata=metadata)
        return None if found is None else (int(found[0]), found[1])

    async def list(self, owner: str, limit: int, before: str | None) -> dict[str, Any] | None:
        """The newest `limit` conversations of an owner, behind `before`; None if that is gone."""
        answer = await self._call("list", owner=owner, limit=limit, before=before)
        if answer is None:
            return None
        found, more = answer
        return {
            "conversations": [_conversation(*one) for one in found],
            "next": int(more) if more else None,
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


def _conversation(
    conversation: str,
    context: str,
    created: str,
    updated: str,
    turns: str,
    tokens: str,
    window: str,
    pending: Sequence[str],
) -> dict[str, Any]:
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


def _message(message: StoredMessage) -> MessageObject:
    return {
        "number": message.number,
        "role": message.role,
        "content": message.content,
        "timestamp": rfc3339(message.timestamp_ms),
        "tokens": message.tokens,
        "job": message.job,
    }
