"""Summaries of conversations: who makes the next one, what they are, what people make of them."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.memory import MemoryMode
from shared.wire.summary import Summary

FOLD_LEASE_MS: Final = 60_000
"""After this long without a sign of life, another worker may take the conversation."""
_PAUSE_MS: Final = 5_000
"""Before a conversation whose worker was interrupted is taken again."""
_MOST_TRIES: Final = 3
"""A conversation whose workers were lost so often waits for its next turn."""


class FoldOutcome(StrEnum):
    """What became of a write of whoever has taken a conversation to summarise."""

    OK = "OK"
    DUP = "DUP"
    """The summary had been added before, which is a success."""
    FENCED = "FENCED"
    """Another worker has it, a person has changed the summary, or the conversation is gone."""
    STALE = "STALE"
    """What was summarised does not stand any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """A conversation whose summary a worker is to make.

    Args:
        token: shuts out everybody else.
        start, stop: numbers of the first message that the summary lacks, and behind the last one.
        context: the conversation's instructions.
        summary: so far.
    """

    token: str
    conversation_id: str
    owner_id: str
    start: int
    stop: int
    context: str
    summary: Summary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What is known of a conversation beyond its window.

    Args:
        mode: None leaves it to the server's setting.
        first: number of the oldest message that is kept.
        offset: number of the first message of the window.
        summary: of what has left the window, perhaps of more; None if there is none.
        is_due: whether turns wait to be added to it.
    """

    mode: MemoryMode | None
    first: int
    offset: int
    summary: Summary | None
    is_due: bool


class Folds:
    """Gives workers of a model conversations to summarise, one at a time, and takes the summaries.

    Args:
        redis: decodes responses to `str`.
        pool: the name of the model.
    """

    def __init__(self, redis: Redis, keys: Keys, pool: str) -> None:
        self._call = Scripts(redis, keys, "fold", "folded").call
        self._pool = pool

    async def take(self, token: str, conversation_id: str | None = None) -> Fold | None:
        """A certain conversation, or the one that is due for longest; None if there is none.

        None also while turns of the model wait.
        """
        answer = await self._call(
            "fold",
            pool=self._pool,
            token=token,
            conversation=conversation_id,
            lease_ms=FOLD_LEASE_MS,
            most_tries=_MOST_TRIES,
        )
        if answer[0] != "FOLD":
            return None
        _, conversation, start, stop, context, line, owner = answer
        return Fold(
            token=token,
            conversation_id=conversation,
            owner_id=owner,
            start=int(start),
            stop=int(stop),
            context=context or "",
            summary=Summary.decode(line),
        )

    async def hold(self, fold: Fold) -> FoldOutcome:
        """A sign of life."""
        return await self._end(fold, "on")

    async def interrupt(self, fold: Fold) -> FoldOutcome:
        """Give it back: something more important came."""
        return await self._end(fold, "interrupted")

    async def fail(self, fold: Fold) -> FoldOutcome:
        """Leave it as it is until its next turn."""
        return await self._end(fold, "failed")

    async def commit(self, fold: Fold, summary: Summary, job_id: str) -> FoldOutcome:
        """Add a summary.

        Args:
            job_id: of the last message that it stands for, or the one before that: the first of
                them that has one; empty if neither has.
        """
        return await self._end(
            fold, "made", number=summary.number, job=job_id, text=summary.encode()
        )

    async def _end(
        self, fold: Fold, outcome: Literal["on", "interrupted", "failed", "made"], **fields: Any
    ) -> FoldOutcome:
        answer = await self._call(
            "folded",
            pool=self._pool,
            conversation=fold.conversation_id,
            token=fold.token,
            outcome=outcome,
            lease_ms=FOLD_LEASE_MS,
            pause_ms=_PAUSE_MS,
            **fields,
        )
        return FoldOutcome(answer)


class Memories:
    """What owners see and change of what is remembered of their conversations.

    Args:
        redis: decodes responses to `str`.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._call = Scripts(redis, keys, "memory").call

    async def show(self, conversation_id: str, owner_id: str) -> Remembered | None:
        """None: this owner has no such conversation."""
        return _remembered(await self._ask(conversation_id, owner_id))

    async def correct(
        self, conversation_id: str, owner_id: str, summary: Summary
    ) -> Remembered | Literal["NONE"] | None:
        """Put a text in the place of the summary; its `number` and `turns` are Redis's to know.

        `NONE`: nothing has left the window.
        """
        answer = await self._ask(conversation_id, owner_id, text=summary.encode())
        return "NONE" if answer == "NONE" else _remembered(answer)

    async def forget(
        self, conversation_id: str, owner_id: str, *, remake: bool
    ) -> Remembered | None:
        """Delete all summaries of a conversation.

        Args:
            remake: whether workers make a new one.
        """
        return _remembered(await self._ask(conversation_id, owner_id, forget=1, remake=int(remake)))

    async def _ask(self, conversation_id: str, owner_id: str, **fields: Any) -> Any:
        return await self._call("memory", conversation=conversation_id, owner=owner_id, **fields)


def _remembered(answer: Any) -> Remembered | None:
    if not answer:
        return None
    mode, first, offset, line, is_due = answer
    return Remembered(
        mode=mode or None,
        first=int(first),
        offset=int(offset),
        summary=Summary.decode(line),
        is_due=bool(is_due),
    )
