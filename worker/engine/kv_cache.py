"""Which conversation lies in which slot, and what of its tokens need not be evaluated again.

Idle conversations stay in their slots until these are needed, and are then parked in host memory;
both are found again by their session and checked by their token ids. A prefix that conversations
share is copied from one to the other, and kept by itself once that was worth it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from worker.engine.backend import SlotStore
from worker.engine.parking import Parked, Parking
from worker.engine.prefixes import common_prefix

MIN_SHARED: Final = 32
"""Tokens from which on a foreign prefix is worth its copy."""

_LOOKED_AT: Final = 64
"""Parked states in which a foreign prefix is looked for: the ones used last."""
_FOREIGN_COST: Final = 8
_LONGER_COST: Final = 8
"""What a source is worth less, in tokens: a copy; one of more than is needed."""


@dataclass(slots=True)
class Slot:
    """One slot: the tokens in it, whose they are, whether they are being worked on."""

    index: int
    token_ids: list[int] = field(default_factory=list)
    session: str | None = None
    is_busy: bool = False
    last_used: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the beginning of a prompt has been evaluated: in a slot, or parked."""

    matched: int
    place: Slot | Parked
    is_own: bool

    @property
    def is_whole(self) -> bool:
        """Whether nothing of it has to be cut off."""
        return self.matched == len(self.place.token_ids)

    @property
    def worth(self) -> int:
        cost = 0 if self.is_own else _FOREIGN_COST
        return self.matched - cost - (0 if self.is_whole or self.is_own else _LONGER_COST)


class KvCache:
    """Gives slots to conversations.

    Args:
        store: holds the slots' contents.
        num_slots: how many there are.
        park_bytes: host memory for what does not fit into slots.
        packed: busy slots should be neighbours.
        copies_fast: copying a slot costs less than parking it.
        window: tokens that a sliding window looks at; 0 without one.
        grid: prefixes are shared in multiples of so many tokens.
    """

    def __init__(
        self,
        store: SlotStore,
        *,
        num_slots: int,
        park_bytes: int,
        packed: bool,
        copies_fast: bool = False,
        window: int = 0,
        grid: int = 1,
    ) -> None:
        self.slots = [Slot(index) for index in range(num_slots)]
        self.parking = Parking(park_bytes)
        self._store = store
        self._packed = packed
        self._copies_fast = copies_fast
        self._window = window
        self._grid = grid
        self._can_truncate = True
        self._uses = 0

    @property
    def has_free_slot(self) -> bool:
        """Whether another conversation can be worked on."""
        return any(not slot.is_busy for slot in self.slots)

    @property
    def num_tokens(self) -> int:
        """Tokens in all slots."""
        return sum(len(slot.token_ids) for slot in self.slots)

    def matched(self, session: str, token_ids: Sequence[int]) -> int:
        """How many tokens of a prompt `acquire` would find."""
        source = self._best_source(session, token_ids)
        return source.matched if source is not None else 0

    def acquire(self, session: str, token_ids: Sequence[int]) -> tuple[Slot, int]:
        """A busy slot with as much of a prompt as was evaluated before.

        The last token is left out: its logits are what comes next. There must be a free slot.

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
        self._touch(slot)
        return slot, len(slot.token_ids)

    def release(self, slot: Slot) -> None:
        """A conversation idles; what was evaluated stays."""
        slot.is_busy = False
        self._touch(slot)

    def resync(self, slot: Slot) -> int:
        """After a failed step: bring a slot back to the tokens it is known to hold.

        Returns:
            How many it holds now; 0 if it had to be cleared.
        """
        if not self._store.truncate(slot.index, len(slot.token_ids)):
            self._clear(slot)
        return len(slot.token_ids)

    def scrub(self, spoilt: Sequence[Slot]) -> None:
        """Empty busy slots that hold what is no number, so that it reaches nobody.

        What begins as they do may hold it, too, and is forgotten. Idle conversations are parked.
        """
        self.park_idle()
        for slot in spoilt:
            self.parking.forget(slot.token_ids, MIN_SHARED)
            slot.token_ids = []
        states = [(slot, self._store.save(slot.index)) for slot in self.slots if slot.token_ids]
        self._store.wipe()
        for slot, state in states:
            if not self._store.load(slot.index, state):
                slot.token_ids = []

    def park_idle(self) -> bool:
        """Empty the slots of idle conversations; False if there were none."""
        idle = [slot for slot in self.slots if not slot.is_busy and slot.token_ids]
        for slot in idle:
            self._vacate(slot)
        return bool(idle)

    def park(self, slot: Slot) -> None:
        """Take a busy conversation out of its slot."""
        slot.is_busy = False
        self._vacate(slot)

    def clear_all(self) -> None:
        """Forget what all slots hold."""
        for slot in self.slots:
            self._clear(slot)
            slot.is_busy = False

    def compact(self) -> list[tuple[Slot, Slot]]:
        """Make busy slots neighbours again; returns the moves, from and to."""
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
        """Whether an idle slot lies between busy ones, and that matters."""
        return self._packed and self._gap() is not None

    # Where a prompt's beginning is found.

    def _best_source(self, session: str, token_ids: Sequence[int]) -> _Source | None:
        limit = len(token_ids) - 1
        best: _Source | None = None
        for place, is_own in self._places(session):
            matched = min(limit, common_prefix(place.token_ids, token_ids))
            matched -= 0 if is_own else matched % self._grid
            source = _Source(matched, place, is_own)
            if matched == 0 or not self._is_usable(source):
                continue
            # A short prompt that is sent again costs nothing but its last token.
            if not is_own and matched < min(MIN_SHARED, limit - limit % self._grid):
                continue
            if best is None or source.worth > best.worth:
                best = source
            if best.is_own and best.matched + MIN_SHARED > limit:
                break
        return best

    def _is_usable(self, source: _Source) -> bool:
        """Whether what is to be cut off can be, and everything that is left is there."""
        place, first = source.place, 0
        if self._window:
            first = place.first if isinstance(place, Parked) else self._store.first(place.index)
        if source.is_whole:
            return first < source.matched
        return self._can_truncate and self._is_whole(first, source.matched)

    def _is_whole(self, first: int, length: int) -> bool:
        """Whether the next token finds all that it looks at: its window counts itself."""
        return first <= max(0, length - self._window + 1)

    def _places(self, session: str) -> Iterator[tuple[Slot | Parked, bool]]:
        """Everything that has been evaluated; the conversation's own first."""
        own_slot, own_parked = self._resident(session), self.parking.of(session)
        if own_slot is not None:
            yield own_slot, True
        if own_parked is not None:
            yield own_parked, True
        yield from ((slot, False) for slot in self.slots if slot is not own_slot)
        yield from ((parked, False) for parked in self.parking.recent(_LOOKED_AT))

    def _resident(self, session: str) -> Slot | None:
        mine = (slot for slot in self.slots if slot.session == session and not slot.is_busy)
        return next(mine, None)

    # Slots.

    def _choose_slot(self, session: str) -> Slot:
        """A free slot: its own, beside busy ones, empty, used longest ago."""
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
        """Let a slot hold what a source holds, or nothing."""
        place = source.place if source is not None else None
        if place is slot:
            # It lies here already, as another conversation's.
            self._park_content(slot)
            return
        if isinstance(place, Parked):
            self.parking.touch(place)
        self._vacate(slot, unless=session)
        if isinstance(place, Slot):
            is_filled = self._store.copy(place.index, slot.index)
        else:
            is_filled = place is not None and self._store.load(slot.index, place.state)
        if place is not None and is_filled:
            slot.token_ids = list(place.token_ids)

    def _make_way(self, slot: Slot) -> None:
        """Empty a slot; an idle conversation in it goes to another slot, or is parked."""
        empty = next((one for one in self.slots if not one.token_ids and not one.is_busy), None)
        if empty is None or not slot.token_ids or not self._copies_fast:
            self._vacate(slot)
        elif self._store.copy(slot.index, empty.index):
            empty.token_ids, empty.session = slot.token_ids, slot.session
            empty.last_used = slot.last_used
            self._clear(slot)

    def _vacate(self, slot: Slot, unless: str | None = None) -> None:
        """Empty a slot; its conversation is parked, `unless` it is this one."""
        if slot.session != unless:
            self._park_content(slot)
        self._clear(slot)

    def _park_content(self, slot: Slot) -> None:
        """Keep what a conversation has in a slot; it stays there, too."""
        if slot.token_ids and slot.session is not None:
            self.parking.put(self._saved(slot, slot.session))

    def _saved(self, slot: Slot, session: str | None) -> Parked:
        """A slot's content; what its window has passed is not in it."""
        first = 0
        if self._window:
            first = max(self._store.first(slot.index), len(slot.token_ids) - self._window)
        state = self._store.save(slot.index)
        return Parked(session, list(slot.token_ids), state, first)

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
                # It came here through a saved state, which lacks what its window had passed.
                self._clear(slot)
        else:
            self._can_truncate = False
            self._clear(slot)

    def _keep_prefix(self, slot: Slot, source: _Source) -> None:
        """Park a shared prefix by itself: the next one who shares it copies no more than that."""
        if source.is_own or source.is_whole or len(slot.token_ids) < MIN_SHARED:
            return
        self.parking.put(self._saved(slot, None))

    def _forget_others(self, session: str, slot: Slot) -> None:
        """A conversation is in one place only; what stays behind elsewhere is out of date."""
        self.parking.pop(session)
        for other in self.slots:
            if other is not slot and other.session == session and not other.is_busy:
                self._clear(other)
