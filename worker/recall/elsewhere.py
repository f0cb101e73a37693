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
from shared.wire.messages import StoredMessage, decode_messages
from worker.prompt.passage import Passage
from worker.recall.index import PassageIndex
from worker.recall.passages import passages_of
from worker.recall.terms import terms_of
from worker.retry import retry

_CONVERSATIONS: Final = 100
"""Those used last are looked through."""
_MESSAGES: Final = 200
"""The newest of each."""
_LENGTH: Final = 200_000
"""Characters of each, of the newest messages."""
_PASSAGES: Final = 4_000
"""Of one owner; older conversations are left out."""
_MOST_PASSAGES: Final = 20_000
"""Of all owners together; the one that asked last stays in any case."""
_AT_ONCE: Final = 8
"""Conversations that are read at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A conversation's passages, oldest first, and the terms of each."""

    passages: tuple[Passage, ...]
    terms: tuple[list[str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is known of an owner's conversations.

    Args:
        others: all that were there, the one used last in front.
        read: those that are in the index, in the same order.
    """

    others: tuple[RecentConversation, ...] = ()
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
        others = tuple(one for one in recent if one.conversation_id != conversation_id)
        kept = self._kept.get(owner_id, _NOTHING)
        if kept.others != others:
            kept = await self._renewed(kept, others)
        self._kept[owner_id] = kept
        self._kept.move_to_end(owner_id)
        self._forget_oldest()
        return await asyncio.to_thread(kept.index.ranked, prompt)

    async def _renewed(self, kept: _Kept, others: tuple[RecentConversation, ...]) -> _Kept:
        read: dict[RecentConversation, _Read] = {}
        left = _PASSAGES
        for start in range(0, len(others), _AT_ONCE):
            batch = others[start : start + _AT_ONCE]
            found = await asyncio.gather(*(self._read(one, kept) for one in batch))
            for one, what in zip(batch, found, strict=True):
                left -= len(what.passages)
                if left < 0:
                    return await asyncio.to_thread(_indexed, others, read)
                read[one] = what
        return await asyncio.to_thread(_indexed, others, read)

    async def _read(self, one: RecentConversation, kept: _Kept) -> _Read:
        if (known := kept.read.get(one)) is not None:
            return known
        start = max(one.first, one.stop - _MESSAGES)
        read = partial(self._messages.read, one.conversation_id, start, one.stop)
        earlier = await retry("recall", read)
        return await asyncio.to_thread(_parsed, one.conversation_id, earlier)

    def _forget_oldest(self) -> None:
        surplus = sum(len(kept.index.passages) for kept in self._kept.values()) - _MOST_PASSAGES
        while surplus > 0 and len(self._kept) > 1:
            _, kept = self._kept.popitem(last=False)
            surplus -= len(kept.index.passages)


def _parsed(conversation_id: str, earlier: Earlier) -> _Read:
    messages = decode_messages(earlier.texts, earlier.number)
    passages = passages_of(_newest(messages), conversation_id)
    return _Read(
        passages=tuple(passages), terms=tuple(terms_of(passage.text) for passage in passages)
    )


def _newest(messages: Sequence[StoredMessage]) -> Sequence[StoredMessage]:
    """The last ones, as long as they are not too long together; none of one that is too long."""
    left, first = _LENGTH, len(messages)
    while first > 0 and (left := left - len(messages[first - 1].content)) >= 0:
        first -= 1
    return messages[first:]


def _indexed(
    others: tuple[RecentConversation, ...], read: dict[RecentConversation, _Read]
) -> _Kept:
    oldest_first = list(reversed(read.values()))
    passages = tuple(chain.from_iterable(one.passages for one in oldest_first))
    terms = tuple(chain.from_iterable(one.terms for one in oldest_first))
    return _Kept(others=others, read=read, index=PassageIndex(passages, terms))
