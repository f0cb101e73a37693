"""The indexes that a worker keeps of owners' conversations, for prompts that look through all."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Final

from shared.store.earlier_messages import Earlier, EarlierMessages
from shared.store.recent_conversations import RecentConversation, RecentConversations
from shared.wire.messages import decode_messages
from worker.prompt.passage import Passage
from worker.recall.index import PassageIndex
from worker.recall.passages import passages_of
from worker.recall.terms import terms_of
from worker.retry import retry

_CONVERSATIONS: Final = 100
"""Those used last are looked through."""
_MESSAGES: Final = 200
"""The newest of each."""
_MOST_MESSAGES: Final = 4_000
"""Of all of them together."""
_OWNERS: Final = 8
"""Whose indexes are kept."""
_AT_ONCE: Final = 8
"""Conversations that are read at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A conversation's passages, oldest first, and the terms of each."""

    passages: tuple[Passage, ...]
    terms: tuple[list[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is known of an owner's conversations as they were.

    Args:
        read: oldest first.
    """

    read: dict[RecentConversation, _Read] = field(default_factory=dict)
    index: PassageIndex = field(default_factory=partial(PassageIndex.of, ()))


_NOTHING: Final = _Kept()


class Elsewhere:
    """Finds what a prompt speaks of in its owner's other conversations.

    What is known of them is compared with Redis each time, and read again where something was said.
    """

    def __init__(self, recent: RecentConversations, messages: EarlierMessages) -> None:
        self._recent = recent
        self._messages = messages
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def find(self, owner_id: str, conversation_id: str, prompt: str) -> list[Passage]:
        """The passages that a prompt speaks of, best first; none of its own conversation."""
        recent = await retry("recall", partial(self._recent.of, owner_id, _CONVERSATIONS))
        others = _bounded([one for one in recent if one.conversation_id != conversation_id])
        kept = self._kept.get(owner_id, _NOTHING)
        if list(kept.read) != others:
            kept = await self._renewed(kept, others)
        self._kept[owner_id] = kept
        self._kept.move_to_end(owner_id)
        if len(self._kept) > _OWNERS:
            self._kept.popitem(last=False)
        return await asyncio.to_thread(kept.index.ranked, prompt)

    async def _renewed(self, kept: _Kept, wanted: Sequence[RecentConversation]) -> _Kept:
        limit = asyncio.Semaphore(_AT_ONCE)

        async def read(one: RecentConversation) -> _Read:
            if (known := kept.read.get(one)) is not None:
                return known
            async with limit:
                return await self._read(one)

        found = await asyncio.gather(*map(read, wanted))
        return await asyncio.to_thread(_indexed, dict(zip(wanted, found, strict=True)))

    async def _read(self, one: RecentConversation) -> _Read:
        start = max(one.first, one.stop - _MESSAGES)
        read = partial(self._messages.read, one.conversation_id, start, one.stop)
        earlier = await retry("recall", read)
        return await asyncio.to_thread(_parsed, one.conversation_id, earlier)


def _parsed(conversation_id: str, earlier: Earlier) -> _Read:
    passages = passages_of(decode_messages(earlier.texts, earlier.number), conversation_id)
    return _Read(
        passages=tuple(passages), terms=tuple(terms_of(passage.text) for passage in passages)
    )


def _bounded(newest: Sequence[RecentConversation]) -> list[RecentConversation]:
    """As many of them as may be looked through, oldest first."""
    chosen: list[RecentConversation] = []
    left = _MOST_MESSAGES
    for one in newest:
        left -= min(one.stop - one.first, _MESSAGES)
        if left < 0:
            break
        chosen.append(one)
    return chosen[::-1]


def _indexed(read: dict[RecentConversation, _Read]) -> _Kept:
    passages = tuple(chain.from_iterable(one.passages for one in read.values()))
    terms = tuple(chain.from_iterable(one.terms for one in read.values()))
    return _Kept(read=read, index=PassageIndex(passages, terms))
