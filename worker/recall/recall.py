"""The indexes that a worker keeps of conversations' messages out of view."""

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.store.earlier_messages import Earlier, EarlierMessages
from shared.wire.messages import decode_messages
from worker.prompt.passage import Passage
from worker.recall.index import PassageIndex
from worker.recall.passages import passages_of
from worker.retry import retry

_REACH: Final = 20_000
"""The newest messages out of view that are looked through."""
_MOST_PASSAGES: Final = 50_000
"""Of all conversations together; the one that was used last stays in any case."""
_ANCHOR: Final = 2
"""Messages at the end of what an index has read: a prompt and its reply. Which ones they are says
what stands before them, whatever alternatives there are (lua/lib/edits.lua)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What is known of a conversation.

    Args:
        before: the number behind the last message in the index.
        anchor: the last messages in it, as they are stored.
    """

    before: int
    anchor: tuple[str, ...]
    index: PassageIndex

    @property
    def resume(self) -> int:
        """Number of the first message to read, so that the anchor is among them."""
        return self.before - len(self.anchor)

    def is_continued_by(self, earlier: Earlier) -> bool:
        return earlier.number == self.resume and earlier.texts[: len(self.anchor)] == self.anchor

    def extended(self, earlier: Earlier, before: int) -> "_Kept":
        """With the messages behind the anchor, without those that Redis does not have any more."""
        added = decode_messages(earlier.texts, earlier.number)[len(self.anchor) :]
        index = self.index
        if added or not index.begins_behind(earlier.first):
            index = index.extended(passages_of(added), earlier.first)
        return _Kept(before=before, anchor=earlier.texts[-_ANCHOR:], index=index)


_NOTHING: Final = _Kept(before=0, anchor=(), index=PassageIndex.of(()))


class Recall:
    """Finds what a prompt speaks of among a conversation's messages out of view.

    An index is made from Redis where there is none, and compared with Redis each time: messages
    may have been replaced, or have changed places with others.
    """

    def __init__(self, messages: EarlierMessages) -> None:
        self._messages = messages
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def find(self, conversation_id: str, before: int, prompt: str) -> list[Passage]:
        """The passages that a prompt speaks of, best first.

        Args:
            before: number of the first message in view.
        """
        index = await self.prepare(conversation_id, before)
        return await asyncio.to_thread(index.ranked, prompt)

    async def prepare(self, conversation_id: str, before: int) -> PassageIndex:
        """Have the index ready for prompts whose window begins at `before`."""
        kept = self._kept.get(conversation_id, _NOTHING)
        oldest = before - _REACH
        earlier = await self._read(conversation_id, max(oldest, kept.resume), before)
        if not kept.is_continued_by(earlier):
            kept = _NOTHING
            earlier = await self._read(conversation_id, oldest, before)
        kept = await asyncio.to_thread(kept.extended, earlier, before)
        self._kept[conversation_id] = kept
        self._kept.move_to_end(conversation_id)
        self._forget_oldest()
        return kept.index

    async def _read(self, conversation_id: str, start: int, before: int) -> Earlier:
        read = partial(self._messages.read, conversation_id, start, before)
        return await retry("recall", read)

    def _forget_oldest(self) -> None:
        surplus = sum(len(kept.index.passages) for kept in self._kept.values()) - _MOST_PASSAGES
        while surplus > 0 and len(self._kept) > 1:
            _, kept = self._kept.popitem(last=False)
            surplus -= len(kept.index.passages)
