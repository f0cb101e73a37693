"""Drafts from a smaller model with the same vocabulary."""

import logging
import time
from collections.abc import Sequence
from typing import Final, Protocol
from weakref import ReferenceType, ref

from worker.engine.acceptance import Acceptance
from worker.engine.backend import Backend, Part
from worker.engine.drafter import MOST_DRAFTED, DecodedStep, Drafter
from worker.engine.interface import EngineError, SamplingOptions
from worker.engine.prefixes import common_prefix
from worker.engine.sequence import Sequence as Generation
from worker.engine.speculation import Speculation
from worker.engine.watchdog import Watchdog

log = logging.getLogger(__name__)

_AT_ONCE: Final = 256
"""Tokens of prompts that are read between two steps of the replies, which wait meanwhile."""
_FIRST_ACCEPTANCE: Final = dict.fromkeys(range(MOST_DRAFTED), 0.6)
"""By the place in a draft."""

Drafts = list[tuple[int, ...]]


class ModelDrafter:
    """Asks a smaller model, which reads the conversations as well, for the likeliest tokens.

    Args:
        model: nobody else's; it drafts for as many replies as it has slots.
        speculation: decides how many tokens are worth it, the time for drafting them included.
        watchdog: times the smaller model's steps.
    """

    def __init__(self, model: Backend, speculation: Speculation, watchdog: Watchdog) -> None:
        self._model = model
        self._speculation = speculation
        self._acceptance = Acceptance(_FIRST_ACCEPTANCE)
        self._watchdog = watchdog
        self._content: list[list[int]] = [[] for _ in range(model.num_slots)]
        """What each slot holds."""
        self._served: list[tuple[ReferenceType[Generation], int] | None] = [None] * model.num_slots
        """Whose tokens each slot holds, and how many of them: replies only grow."""
        self._used = [0] * model.num_slots
        """When each slot was used last, counted in drafts."""
        self._samplers = [model.make_sampler(SamplingOptions(temperature=0)) for _ in self._content]
        self._drafting_s = 0.0
        self._has_failed = False

    def drafts_for(self, replies: Sequence[Generation], most: int) -> Drafts:
        none: Drafts = [()] * len(replies)
        size = self._size(replies, most)
        if size == 0:
            return none
        began = time.monotonic()
        try:
            slots = self._slots_for(replies)
            if not self._has_read(slots, replies):
                return none
            drafts = self._drafted(slots, replies, size)
        except EngineError as error:
            log.warning("the smaller model failed, and drafts nothing more: %s", error)
            self._has_failed = True
            return none
        self._drafting_s = time.monotonic() - began
        return drafts

    def record(self, step: DecodedStep) -> None:
        if step.num_drafted:
            self._learn(step)
            seconds = step.seconds + self._drafting_s
            self._speculation.record_drafts(step.num_drafted, step.accepted, seconds)
        else:
            self._speculation.record_plain(len(step.accepted), step.seconds)

    def _learn(self, step: DecodedStep) -> None:
        for accepted in step.accepted:
            for place in range(min(accepted + 1, step.num_drafted)):
                self._acceptance.learn(place, was_right=place < accepted)

    def _size(self, replies: Sequence[Generation], most: int) -> int:
        longest = max(len(reply.token_ids) for reply in replies)
        most = min(most, MOST_DRAFTED, self._model.slot_size - longest)
        if self._has_failed or most <= 0 or len(replies) > len(self._content):
            return 0
        chances = self._acceptance.chances(range(most))
        return self._speculation.size([chances] * len(replies), most)

    def _slots_for(self, replies: Sequence[Generation]) -> list[int]:
        """For each reply the slot that suits it best, cut back to what it has of it."""
        free, slots = list(range(len(self._content))), []
        for reply in replies:
            kept = {slot: self._kept(slot, reply) for slot in free}
            slot = max(free, key=lambda slot: self._merit(slot, kept[slot]))
            free.remove(slot)
            # The last token is read together with the first draft, even if it was read before.
            length = min(kept[slot], len(reply.token_ids) - 1)
            self._cut(slot, length)
            self._served[slot] = ref(reply), length
            self._used[slot] = max(self._used) + 1
            slots.append(slot)
        return slots

    def _kept(self, slot: int, reply: Generation) -> int:
        """How many of a reply's tokens a slot holds; those are not compared again and again."""
        served = self._served[slot]
        known = served[1] if served is not None and served[0]() is reply else 0
        content, token_ids = self._content[slot], reply.token_ids
        return known + common_prefix(content[known:], token_ids[known:])

    def _merit(self, slot: int, num_kept: int) -> tuple[int, int]:
        """What is kept of a slot against what is lost; of equals, the one used longest ago."""
        return 2 * num_kept - len(self._content[slot]), -self._used[slot]

    def _cut(self, slot: int, length: int) -> None:
        if length < len(self._content[slot]) and not self._model.truncate(slot, length):
            raise EngineError("its slots cannot be cut back")
        del self._content[slot][length:]

    def _has_read(self, slots: Sequence[int], replies: Sequence[Generation]) -> bool:
        """Read what comes before the last tokens; False if there is more of it."""
        left = min(_AT_ONCE, self._model.batch_size)
        is_complete = True
        for slot, reply in zip(slots, replies, strict=True):
            start = len(self._content[slot])
            unread = reply.token_ids[start:-1]
            if part := unread[:left]:
                self._evaluate([Part(slot, start, part, sampled=False)])
            left -= len(part)
            is_complete = is_complete and len(part) == len(unread)
        return is_complete

    def _drafted(self, slots: Sequence[int], replies: Sequence[Generation], size: int) -> Drafts:
        """Up to `size` tokens for each reply, until one of them would end."""
        newest = {slot: reply.token_ids[-1] for slot, reply in zip(slots, replies, strict=True)}
        drafts: dict[int, list[int]] = {slot: [] for slot in slots}
        # In one pass only if they are in order.
        in_order = sorted(slots)
        samplers = [self._samplers[slot] for slot in in_order]
        for _ in range(size):
            self._evaluate(
                [
                    Part(slot, len(self._content[slot]), [newest[slot]], sampled=True)
                    for slot in in_order
                ]
            )
            for slot, token in zip(in_order, self._model.draw(samplers), strict=True):
                newest[slot] = _checked(token)
                drafts[slot].append(newest[slot])
            if any(map(self._model.is_end, newest.values())):
                break  # an end is drafted all the same, for its time has to be paid for
        return [tuple(drafts[slot]) for slot in slots]

    def _evaluate(self, parts: list[Part]) -> None:
        self._watchdog.begin(sum(len(part.token_ids) for part in parts))
        try:
            self._model.evaluate(parts)
        finally:
            self._watchdog.end()
        for part in parts:
            self._content[part.slot_id] += part.token_ids


def _checked(token: int | EngineError) -> int:
    if isinstance(token, EngineError):
        raise token
    return token


class FirstOf:
    """Several drafters; the first one that has drafts is asked no further."""

    def __init__(self, *drafters: Drafter) -> None:
        self._drafters = drafters
        self._last: Drafter | None = None

    def drafts_for(self, replies: Sequence[Generation], most: int) -> Drafts:
        for drafter in self._drafters:
            drafts = drafter.drafts_for(replies, most)
            if all(drafts):
                self._last = drafter
                return drafts
        self._last = None
        return [()] * len(replies)

    def record(self, step: DecodedStep) -> None:
        if step.num_drafted and self._last is not None:
            self._last.record(step)
        else:
            for drafter in self._drafters:
                drafter.record(step)


class _Spelling(Protocol):
    """What is compared of two vocabularies."""

    @property
    def size(self) -> int: ...

    def piece_of(self, token: int, *, special: bool = False) -> bytes: ...


def first_difference(one: _Spelling, other: _Spelling) -> int | None:
    """The first token that two vocabularies spell differently; padding at the end may differ."""
    for token in range(min(one.size, other.size)):
        if one.piece_of(token, special=True) != other.piece_of(token, special=True):
            return token
    return None
