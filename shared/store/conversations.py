"""Conversations: begun, extended, read, listed, deleted."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from typing import Any, Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import ConversationBusy, StillInUse
from shared.store.data_format import FORMAT_OF_PARTS
from shared.store.expiry import expiries
from shared.store.headings import Headings
from shared.store.keys import Keys
from shared.store.list_page import ListPage
from shared.store.message_page import Page
from shared.store.refusals import allowance_of, refusal
from shared.store.scripts import Scripts, milliseconds
from shared.store.workers import WORKER_SILENCE_S
from shared.wire.beginning import Beginning, BegunAlternative
from shared.wire.conversation import Conversation
from shared.wire.conversation_edit import ConversationEdit
from shared.wire.limits import Allowance, Caller
from shared.wire.messages import StoredMessage, decode_messages
from shared.wire.models import ReplyModels

_OWN: Final = ("show", "page", "delete", "list", "edit", "pin")
_FOR_RESPONSES: Final = ("forget", "begin", "append", "label")


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A conversation that was begun or extended, and what its owner has left."""

    conversation_id: str
    allowance: Allowance | None


class Conversations:
    """Every method answers None or False for a conversation that is not this owner's."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._call = Scripts(redis, keys, *_OWN, *_FOR_RESPONSES).call
        self._headings = Headings(redis, keys)
        self._expiries = expiries(settings)
        self._queue_limit = settings.queue_limit
        self._alternatives = settings.alternatives
        self._view = {"window": settings.window, "history_limit": settings.history_limit}

    async def show(self, conversation_id: str, owner_id: str) -> dict[str, Any] | None:
        """The conversation object."""
        row = await self._call("show", conversation=conversation_id, owner=owner_id)
        return await self._shown(row, owner_id)

    async def edit(
        self, conversation_id: str, owner_id: str, edit: ConversationEdit
    ) -> dict[str, Any] | None:
        """Change title, pin or metadata; returns the conversation object."""
        row = await self._call(
            "edit", conversation=conversation_id, owner=owner_id, **edit.arguments()
        )
        return await self._shown(row, owner_id)

    async def _shown(self, row: Sequence[Any] | None, owner_id: str) -> dict[str, Any] | None:
        if row is None:
            return None
        [conversation] = await self._headings.completed([Conversation.decode(row)], owner_id)
        return conversation.to_wire()

    async def forget_response(self, job_id: str, owner_id: str) -> bool:
        """Delete a response: its job, its turn, and its conversation if the response began it.

        Raises:
            StillInUse: something builds on it; nothing was deleted.
        """
        answer = await self._call("forget", job=job_id, owner=owner_id, **self._expiries)
        if answer[0] == "IN_USE":
            raise StillInUse(answer[1])
        return bool(answer[0] == "OK")

    async def begin(
        self, conversation_id: str, caller: Caller, beginning: Beginning
    ) -> Begun | None:
        """Create a conversation without a turn; None if the id is taken. It counts as a prompt.

        Repeating the call with the same batch is safe.

        Raises:
            LimitReached, QueueFull, NoSuchModel, NoWorker: nothing was stored.
        """
        answer = await self._call(
            "begin",
            conversation=conversation_id,
            owner=caller.owner_id,
            batch=beginning.batch_id,
            metadata=beginning.metadata,
            context=beginning.context,
            title=beginning.title or None,
            pinned=1 if beginning.is_pinned else None,
            model=beginning.model_name or None,
            memory=beginning.memory,
            queue_limit=self._queue_limit,
            silence_ms=milliseconds(WORKER_SILENCE_S),
            **_with_alternatives(beginning, self._alternatives),
            **self._view,
            **caller.limits.arguments(),
            **self._expiries,
        )
        match answer[0]:
            case "OK":
                return Begun(
                    conversation_id=conversation_id, allowance=allowance_of(answer, caller.limits)
                )
            case "TAKEN":
                return None
        raise refusal(answer)

    async def add(
        self, conversation_id: str, caller: Caller, batch: str, messages: Sequence[StoredMessage]
    ) -> Begun:
        """Add the messages of a batch without a turn. It counts as a prompt.

        Repeating the call is safe until something else is added.

        Raises:
            NoSuchConversation, ConversationBusy, LimitReached: nothing was stored.
        """
        answer = await self._call(
            "append",
            conversation=conversation_id,
            owner=caller.owner_id,
            batch=batch,
            **_added(messages),
            **self._view,
            **caller.limits.arguments(),
            **self._expiries,
        )
        if answer[0] != "OK":
            raise refusal(answer)
        return Begun(conversation_id=conversation_id, allowance=allowance_of(answer, caller.limits))

    async def label(
        self, conversation_id: str, owner_id: str, metadata: str | None = None
    ) -> tuple[int, str] | None:
        """Creation time, in ms, and metadata, which are replaced first if new ones are given."""
        fields = await self._call(
            "label", conversation=conversation_id, owner=owner_id, metadata=metadata
        )
        return None if fields is None else (int(fields[0]), fields[1])

    async def list(
        self, owner_id: str, limit: int, before: str | None, *, only_pinned: bool = False
    ) -> dict[str, Any]:
        """`limit` conversations of an owner after the position `before`, last used first.

        A position is when a conversation was used and its id, joined by a hyphen, and outlives the
        conversation. An id alone is one only while the conversation exists; later nothing follows.
        A page may be shorter, or empty, while another one follows.
        """
        page = await self.listed(owner_id, limit, before, only_pinned=only_pinned)
        return page.to_wire()

    async def listed(
        self, owner_id: str, limit: int, before: str | None, *, only_pinned: bool = False
    ) -> ListPage:
        """As `list`, before it is shown."""
        # What stands behind a full stop is of use to a search alone.
        used, _, conversation = (before or "").partition(".")[0].rpartition("-")
        rows, more = await self._call(
            "list",
            owner=owner_id,
            limit=limit,
            before=conversation or None,
            used=used or None,
            pinned=1 if only_pinned else None,
        )
        conversations = await self._headings.completed(
            [Conversation.decode(row) for row in rows], owner_id
        )
        return ListPage(conversations=tuple(conversations), next=more or None)

    async def page(
        self, conversation_id: str, owner_id: str, limit: int, before: int
    ) -> Page | None:
        """The newest `limit` messages numbered below `before` (0: all)."""
        answer = await self._call(
            "page", conversation=conversation_id, owner=owner_id, limit=limit, before=before
        )
        if answer is None:
            return None
        return Page.decode(answer, limit)

    async def pin(
        self, conversation_id: str, owner_id: str, number: int, *, is_pinned: bool
    ) -> StoredMessage | None:
        """Keep a message always in view, or not any more; None if there is no such message.

        Raises:
            ConversationBusy: a turn is pending that may replace it.
        """
        call = partial(
            self._call, "pin", conversation=conversation_id, owner=owner_id, number=number
        )
        answer = await call()
        while answer[0] == "IS":
            _, text, models, job_id = answer
            [message] = decode_messages([text], number, job_id)
            changed = replace(message, is_pinned=is_pinned)
            answer = await call(expected=text, text=changed.encode())
            if answer[0] == "OK":
                return ReplyModels.decode(models).named(changed)
        if answer[0] == "BUSY":
            raise ConversationBusy("the message is being replaced")
        return None

    async def delete(self, conversation_id: str, owner_id: str) -> bool:
        """Cancel its pending turns and delete everything that belongs to it."""
        answer = await self._call(
            "delete", conversation=conversation_id, owner=owner_id, **self._expiries
        )
        return bool(answer == "OK")


def _with_alternatives(beginning: Beginning, limit: int) -> dict[str, Any]:
    """Messages, and the last `limit` alternatives, as `begin.lua` takes them."""
    kept = beginning.alternatives[max(0, len(beginning.alternatives) - limit) :]
    arguments = _added(beginning.messages) | {"tails": len(kept)}
    tails = [beginning.messages, *(alternative.messages for alternative in kept)]
    if any(message.is_pinned for messages in tails for message in messages):
        arguments["pins"] = 1
    for place, alternative in enumerate(kept, start=1):
        arguments |= _tail(f"tail{place}_", alternative)
    texts = (message for each in kept for message in each.messages)
    if any(message.needs_parts for message in texts):
        arguments["format"] = FORMAT_OF_PARTS
    return arguments


def _tail(prefix: str, alternative: BegunAlternative) -> dict[str, Any]:
    """One alternative as `begin.lua` takes it (lua/lib/edits.lua, add_alternatives)."""
    fields = {
        "id": alternative.alternative_id,
        "number": alternative.number,
        "after": alternative.after,
        "under": alternative.under,
        "replaced": alternative.replaced_ms,
        "turns": alternative.turns,
        "context": alternative.context,
        "messages": len(alternative.messages),
    }
    messages = enumerate(alternative.messages, start=1)
    fields |= {f"message{at}": message.encode() for at, message in messages}
    return {f"{prefix}{name}": value for name, value in fields.items()}


def _added(messages: Sequence[StoredMessage]) -> dict[str, Any]:
    """Messages as the scripts take them (lua/lib/edits.lua, add_messages)."""
    opening = list(takewhile(lambda message: message.role == "system", messages))
    encoded = {f"message{at}": message.encode() for at, message in enumerate(messages, start=1)}
    text = "\n\n".join(message.content for message in opening)
    needs_parts = any(message.needs_parts for message in messages)
    return {
        "messages": len(messages),
        **encoded,
        "opening": len(opening),
        "instructions": text,
        "format": FORMAT_OF_PARTS if needs_parts else None,
    }
