"""Which conversation is in which slot, and how many of its tokens need not be evaluated again.

An idle conversation stays in its slot until the slot is needed, and is then swapped out to host
memory. Either way its session finds it again, and comparing token ids tells what can be reused. A
prefix that conversations share is copied from one to another, and also kept by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from worker.engine.backend import SlotStore
from worker.engine.dropped_sessions import DroppedSessions
from worker.engine.prefixes import common_prefix
from worker.engine.swap_space import SwappedOut, SwapSpace

MIN_SHARED: Final = 32
"""Tokens from which on another conversation's prefix is worth a copy."""

_MAX_SEARCHED: Final = 64
"""Swapped-out contents that are searched for another conversation's prefix: those used last."""
_FOREIGN_COST: Final = 8
_LONGER_COST: Final = 8
"""Tokens by which a source counts as worse: for a copy, and for a copy of more than is needed."""


@dataclass(slots=True)
class Slot:
    """A llama.cpp sequence id with its tokens; `is_busy` while a reply is generated in it."""

    index: int
    token_ids: list[int] = field(default_factory=list)
    session: str | None = None
    is_busy: bool = False
    last_used: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """A place that holds the beginning of a prompt: a slot, or swapped out."""

    matched: int
    place: Slot | SwappedOut
    is_own: bool

    @property
    def is_whole(self) -> bool:
        """Whether nothing has to be cut off."""
        return self.matched == len(self.place.token_ids)

    @property
    def worth(self) -> int:
        cost = 0 if self.is_own else _FOREIGN_COST
        return self.matched - cost - (0 if self.is_whole or self.is_own else _LONGER_COST)


class KvCache:
    """Allocates slots to conversations.

    Args:
        store: holds the slots' contents.
        num_slots: how many there are.
        swap_bytes: host memory for what does not fit into slots.
        packed: busy slots should be neighbours.
        copies_fast: copying a slot costs less than swapping it out.
        window: tokens that a sliding window looks at; 0 without one.
        grid: prefixes are shared in multiples of so many tokens.
    """

    def __init__(
        self,
        store: SlotStore,
        *,
        num_slots: int,
        swap_bytes: int,
        packed: bool,
        copies_fast: bool = False,
        window: int = 0,
        grid: int = 1,
    ) -> None:
        self.slots = [Slot(index) for index in range(num_slots)]
        self.dropped = DroppedSessions()
        self.swap_space = SwapSpace(swap_bytes, self.dropped)
        self._store = store
        self._packed = packed
        self._copies_fast = copies_fast
        self._window = window
        self._grid = grid
        self._can_truncate = True
        self._uses = 0

    @property
    def has_free_slot(self) -> bool:
        """Whether another conversation can run."""
        return any(not slot.is_busy for slot in self.slots)

    @property
    def num_tokens(self) -> int:
        """Tokens in all slots."""
        return sum(len(slot.token_ids) for slot in self.slots)

    def matched(self, session: str, token_ids: Sequence[int]) -> int:
        """How many of a prompt's tokens `allocate` would find."""
        source = self._best_source(session, token_ids)
        return source.matched if source is not None else 0

    def allocate(self, session: str, token_ids: Sequence[int]) -> tuple[Slot, int]:
        """Give a free slot to a conversation, filled with what was evaluated of its prompt before.

        The prompt's last token is left out: its logits give the next one.

        Returns:
            The slot, and how many tokens it holds.
        """
        source = self._best_source(session, token_ids)
        slot = self._choose_slot(session)
        if source is None or source.place is not slot or not source.is_own:
            self._fill(slot, session, source)
        if source is not None:
            self._cut(slot, source.matched)
            self._keep_prefix(slot, source)
        self._forget_others(session, slot)
        slot.session, slot.is_busy = session, True
        self.dropped.discard(session)
        self._touch(slot)
        return slot, len(slot.token_ids)

    def free(self, slot: Slot) -> None:
        """The conversation is idle; what was evaluated stays."""
        slot.is_busy = False
        self._touch(slot)

    def resync(self, slot: Slot) -> int:
        """Cut a slot back to the tokens that it is known to hold, after a failed step.

        Returns:
            How many it holds now; 0 if it had to be cleared.
        """
        if not self._store.truncate(slot.index, len(slot.token_ids)):
            self._clear(slot)
        return len(slot.token_ids)

    def scrub(self, poisoned: Sequence[Slot]) -> None:
        """Empty busy slots that hold NaN, and overwrite their memory.

        Contents that begin like theirs may hold it, too, and are forgotten. Idle conversations are
        swapped out.
        """
        self.swap_out_idle()
        for slot in poisoned:
            self.swap_space.drop_sharing(slot.token_ids, MIN_SHARED)
            slot.token_ids = []
        states = [(slot, self._store.save(slot.index)) for slot in self.slots if slot.token_ids]
        self._store.wipe()
        for slot, state in states:
            if not self._store.load(slot.index, state):
                slot.token_ids = []

    def swap_out_idle(self) -> bool:
        """Swap out all idle conversations; False if there were none."""
        idle = [slot for slot in self.slots if not slot.is_busy and slot.token_ids]
        for slot in idle:
            self._evict(slot)
        return bool(idle)

    def swap_out(self, slot: Slot) -> None:
        """Swap out a busy conversation."""
        slot.is_busy = False
        self._evict(slot)

    def clear_all(self) -> None:
        """Forget what all slots hold."""
        for slot in self.slots:
            if slot.session is not None:
                self.dropped.add(slot.session)
            self._clear(slot)
            slot.is_busy = False

    def compact(self) -> list[tuple[Slot, Slot]]:
        """Make busy slots neighbours again; returns the moves as pairs of old and new slot."""
        moves = []
        while self._packed and (gap := self._gap()) is not None:
            edge = min(self._edges(), key=lambda slot: len(slot.token_ids))
            self._make_way(gap)
            if not self._store.copy(edge.index, gap.index):
                break
            gap.token_ids, gap.session, gap.is_busy = edge.token_ids, edge.session, True
            edge.token_ids, edge.is_busy = [], False
            self._clear(edge)
            self._touch(gap)
            moves.append((edge, gap))
        return moves

    def has_gap(self) -> bool:
        """Whether an idle slot lies between busy ones where that costs time."""
        return self._packed and self._gap() is not None

    # Finding the beginning of a prompt.

    def _best_source(self, session: str, token_ids: Sequence[int]) -> _Source | None:
        limit = len(token_ids) - 1
        best: _Source | None = None
        for place, is_own in self._places(session):
            matched = min(limit, common_prefix(place.token_ids, token_ids))
            matched -= 0 if is_own else matched % self._grid
            source = _Source(matched, place, is_own)
            if matched == 0 or not self._is_usable(source):
                continue
            # A short prompt that is sent again costs only its last token.
            if not is_own and matched < min(MIN_SHARED, limit - limit % self._grid):
                continue
            if best is None or source.worth > best.worth:
                best = source
            if best.is_own and best.matched + MIN_SHARED > limit:
                break
        return best

    def _is_usable(self, source: _Source) -> bool:
        """Whether the source can be cut to the match, and the rest is complete."""
        place, first = source.place, 0
        if self._window:
            first = place.first if isinstance(place, SwappedOut) else self._store.first(place.index)
        if source.is_whole:
            return first < source.matched
        return self._can_truncate and self._is_whole(first, source.matched)

    def _is_whole(self, first: int, length: int) -> bool:
        """Whether the next token finds all that it attends to; its window includes itself."""
        return first <= max(0, length - self._window + 1)

    def _places(self, session: str) -> Iterator[tuple[Slot | SwappedOut, bool]]:
        """Everything that was evaluated; the conversation's own first."""
        own_slot, own_swapped = self._resident(session), self.swap_space.get(session)
        if own_slot is not None:
            yield own_slot, True
        if own_swapped is not None:
            yield own_swapped, True
        yield from ((slot, False) for slot in self.slots if slot is not own_slot)
        yield from ((content, False) for content in self.swap_space.recent(_MAX_SEARCHED))

    def _resident(self, session: str) -> Slot | None:
        mine = (slot for slot in self.slots if slot.session == session and not slot.is_busy)
        return next(mine, None)

    # Slots.

    def _choose_slot(self, session: str) -> Slot:
        """A free slot: preferably its own, next to busy ones, empty, or the least recently used."""
        free = [slot for slot in self.slots if not slot.is_busy]
        near = [slot for slot in free if self._is_near(slot)] or free
        return min(
            near,
            key=lambda slot: (
                slot.session != session or not slot.token_ids,
                bool(slot.token_ids),
                slot.last_used,
                slot.index,
            ),
        )

    def _is_near(self, slot: Slot) -> bool:
        busy = self._busy_indexes()
        return not self._packed or not busy or busy[0] - 1 <= slot.index <= busy[-1] + 1

    def _busy_indexes(self) -> list[int]:
        return [slot.index for slot in self.slots if slot.is_busy]

    def _edges(self) -> tuple[Slot, Slot]:
        busy = self._busy_indexes()
        return self.slots[busy[0]], self.slots[busy[-1]]

    def _gap(self) -> Slot | None:
        busy = self._busy_indexes()
        between = self.slots[busy[0] : busy[-1]] if busy else []
        return next((slot for slot in between if not slot.is_busy), None)

    def _touch(self, slot: Slot) -> None:
        self._uses += 1
        slot.last_used = self._uses

    # Contents.

    def _fill(self, slot: Slot, session: str, source: _Source | None) -> None:
        """Copy or swap in what a source holds; without one, empty the slot."""
        place = source.place if source is not None else None
        if place is slot:
            # The slot holds it already, as another conversation's.
            self._save_content(slot)
            return
        if isinstance(place, SwappedOut):
            self.swap_space.touch(place)
        self._evict(slot, unless=session)
        if isinstance(place, Slot):
            is_filled = self._store.copy(place.index, slot.index)
        else:
            is_filled = place is not None and self._store.load(slot.index, place.state)
        if place is not None and is_filled:
            slot.token_ids = list(place.token_ids)

    def _make_way(self, slot: Slot) -> None:
        """Empty a slot; an idle conversation in it moves to another slot, or is swapped out."""
        empty = next(
            (other for other in self.slots if not other.token_ids and not other.is_busy), None
        )
        if empty is None or not slot.token_ids or not self._copies_fast:
            self._evict(slot)
        elif self._store.copy(slot.index, empty.index):
            empty.token_ids, empty.session = slot.token_ids, slot.session
            empty.last_used = slot.last_used
            self._clear(slot)

    def _evict(self, slot: Slot, unless: str | None = None) -> None:
        """Empty a slot; its conversation is swapped out, `unless` it is this one."""
        if slot.session != unless:
            self._save_content(slot)
        self._clear(slot)

    def _save_content(self, slot: Slot) -> None:
        """Copy a slot's content to the swap space."""
        if slot.token_ids and slot.session is not None:
            self.swap_space.put(self._saved(slot, slot.session))

    def _saved(self, slot: Slot, session: str | None) -> SwappedOut:
        """A slot's content, without what its sliding window has passed."""
        first = 0
        if self._window:
            first = max(self._store.first(slot.index), len(slot.token_ids) - self._window)
        state = self._store.save(slot.index)
        return SwappedOut(session, list(slot.token_ids), state, first)

    def _clear(self, slot: Slot) -> None:
        self._store.clear(slot.index)
        slot.token_ids, slot.session = [], None

    def _cut(self, slot: Slot, length: int) -> None:
        """Keep the first tokens of a slot; none at all if the model cannot forget a part."""
        if len(slot.token_ids) <= length:
            return
        if self._store.truncate(slot.index, length):
            del slot.token_ids[length:]
            if not self._is_whole(self._store.first(slot.index) if self._window else 0, length):
                # It was swapped in, without what its window had passed.
                self._clear(slot)
        else:
            self._can_truncate = False
            self._clear(slot)

    def _keep_prefix(self, slot: Slot, source: _Source) -> None:
        """Keep a shared prefix by itself: the next one that shares it copies only that."""
        if source.is_own or source.is_whole or len(slot.token_ids) < MIN_SHARED:
            return
        self.swap_space.put(self._saved(slot, None))

    def _forget_others(self, session: str, slot: Slot) -> None:
        """Drop a conversation's other, outdated copies."""
        self.swap_space.drop(session)
        for other in self.slots:
            if other is not slot and other.session == session and not other.is_busy:
                self._clear(other)
