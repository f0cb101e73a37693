"""What belongs to owners, read and put back record by record, while the server runs."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.store.data_format import FORMAT_OF_PARTS, OLDEST_FORMAT
from shared.store.expiry import expiries
from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.backup import (
    ConversationRecord,
    PersonasRecord,
    StoredRecord,
    TokensRecord,
    UsageRecord,
    flat,
    numbered,
)

_NAMES_AT_ONCE: Final = 1000
_PREFIXES: Final = {
    "conversation": "conversation",
    "personas": "personas",
    "counted": "usage",
    "usage": "tokens",
}
"""The patterns of `keys.PATTERNS` that records are made of, and the kinds of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dumped:
    """A conversation, and how many of its turns have not ended: nothing of these is in it."""

    record: ConversationRecord
    unfinished: int


class Archive:
    """Each conversation is read in one step: what it has belongs together."""

    def __init__(self, redis: Redis, keys: Keys, settings: Settings) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._call = Scripts(redis, keys, "dump", "restore", "recount").call
        self._expiries = expiries(settings)

    async def data_format(self) -> str:
        """Which format the data have."""
        return str(await self._redis.get(self._keys.schema) or OLDEST_FORMAT)

    async def records(self) -> AsyncIterator[StoredRecord | Dumped]:
        """Everything that there is from the beginning to the end, in no certain order."""
        read = {
            "personas": self.personas,
            "usage": self._usage,
            "tokens": self._tokens,
            "conversation": self.conversation,
        }
        # A scan may name a key twice.
        seen = set[tuple[str, str]]()
        everything = f"{self._keys.namespace}:*"
        async for name in self._redis.scan_iter(everything, count=_NAMES_AT_ONCE):
            kind, rest = self._kind_of(name)
            if kind is None or (kind, rest) in seen:
                continue
            seen.add((kind, rest))
            record: Any = await read[kind](rest)
            if record is not None:
                yield record

    def _kind_of(self, name: str) -> tuple[str | None, str]:
        for pattern, kind in _PREFIXES.items():
            prefix = self._keys.prefix_of(pattern)
            if name.startswith(prefix):
                rest = name.removeprefix(prefix)
                # What belongs to a conversation is read with it.
                return (None if kind == "conversation" and ":" in rest else kind), rest
        return None, ""

    async def conversation(self, conversation_id: str) -> Dumped | None:
        """None if there is none that would be left if its unfinished turns failed."""
        answer = await self._call("dump", conversation=conversation_id)
        if answer is None:
            return None
        record = ConversationRecord.decode(conversation_id, answer)
        return Dumped(record=record, unfinished=answer[-1])

    async def personas(self, owner_id: str) -> PersonasRecord | None:
        """All of an owner."""
        personas = await self._redis.hgetall(self._keys.personas(owner_id))
        return PersonasRecord(owner=owner_id, personas=personas) if personas else None

    async def _usage(self, day: str) -> UsageRecord | None:
        rows = await self._redis.hgetall(self._keys.counted(day))
        return UsageRecord(day=int(day), rows=rows) if rows else None

    async def _tokens(self, owner_and_day: str) -> TokensRecord | None:
        owner, _, day = owner_and_day.rpartition(":")
        tokens = await self._redis.get(self._keys.usage(owner_and_day))
        return TokensRecord(owner=owner, day=int(day), tokens=int(tokens)) if tokens else None

    async def restore(self, record: ConversationRecord, *, replace: bool) -> bool:
        """Put a conversation back; False if it is there and is not to be replaced."""
        alternatives: dict[str, str] = {}
        for number, tail in enumerate(record.alternatives, start=1):
            alternatives |= tail.arguments(f"alternative{number}")
        answer = await self._call(
            "restore",
            conversation=record.id,
            owner=record.owner_id,
            replace=1 if replace else None,
            format=FORMAT_OF_PARTS if _needs_parts(record) else None,
            **numbered("fields", flat(record.fields)),
            **numbered("messages", record.messages),
            **numbered("alternatives", [tail.id for tail in record.alternatives]),
            **alternatives,
            **(record.share.arguments("share") if record.share else {}),
            **self._expiries,
        )
        return bool(answer == "OK")

    async def restore_personas(self, record: PersonasRecord) -> None:
        """Put an owner's personas back, in place of those with their ids."""
        await self._redis.hset(self._keys.personas(record.owner), mapping=record.personas)

    async def recount(self, record: UsageRecord | TokensRecord) -> None:
        """Raise counters to what they were; repeating it counts nothing twice."""
        if isinstance(record, TokensRecord):
            await self._call("recount", owner=record.owner, day=record.day, tokens=record.tokens)
            return
        names = {f"name{i}": name for i, name in enumerate(record.rows, start=1)}
        rows = {f"row{i}": row for i, row in enumerate(record.rows.values(), start=1)}
        await self._call("recount", day=record.day, rows=len(record.rows), **names, **rows)


def _needs_parts(record: ConversationRecord) -> bool:
    """Whether versions before data format 2 cannot read it (`StoredMessage.needs_parts`)."""
    texts = [*record.messages, *(text for tail in record.alternatives for text in tail.messages)]
    return any('"o":[[' in text or '"r":"t"' in text for text in texts)
