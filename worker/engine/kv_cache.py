"""Which conversation lies in which lane, and what of its tokens need not be evaluated again.

Idle conversations stay in their lanes until these are needed, and are then parked in host memory;
both are found again by their session and checked by their token ids. A prefix that conversations
share is copied from one to the other, and kept by itself once that was worth it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from worker.engine.backend import LaneStore
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
class Lane:
    """One lane: the tokens in it, whose they are, whether they are being worked on."""

    index: int
    token_ids: list[int] = field(default_factory=list)
    session: str | None = None
    is_busy: bool = False
    last_used: int = 0


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the beginning of a prompt has been evaluated: in a lane, or parked."""

    matched: int
    place: Lane | Parked
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
    """Gives lanes to conversations.

    Args:
        store: holds the lanes' contents.
        num_lanes: how many there are.
        park_bytes: host memory for what does not fit into lanes.
        packed: busy lanes should be neighbours.
        copies_fast: copying a lane costs less than parking it.
        window: tokens that a sliding window looks at; 0 without one.
        grid: prefixes are shared in multiples of so many tokens.
    """

    def __init__(
        self,
        store: LaneStore,
        *,
        num_lanes: int,
        park_bytes: int,
        packed: bool,
        copies_fast: bool = False,
        window: int = 0,
        grid: int = 1,
    ) -> None:
        self.lanes = [Lane(index) for index in range(num_lanes)]
        self.parking = Parking(park_bytes)
        self._store = store
        self._packed = packed
        self._copies_fast = copies_fast
        self._window = window
        self._grid = grid
        self._can_truncate = True
        self._uses = 0

    @property
    def has_free_lane(self) -> bool:
        """Whether another conversation can be worked on."""
        return any(not lane.is_busy for lane in self.lanes)

    @property
    def num_tokens(self) -> int:
        """Tokens in all lanes."""
        return sum(len(lane.token_ids) for lane in self.lanes)

    def matched(self, session: str, token_ids: Sequence[int]) -> int:
        """How many tokens of a prompt `acquire` would find."""
        source = self._best_source(session, token_ids)
        return source.matched if source is not None else 0

    def acquire(self, session: str, token_ids: Sequence[int]) -> tuple[Lane, int]:
        """A busy lane with as much of a prompt as was evaluated before.

        The last token is left out: its logits are what comes next. There must be a free lane.

        Returns:
            The lane, and how many tokens it holds.
        """
        source = self._best_source(session, token_ids)
        lane = self._choose_lane(session)
        if source is None or source.place is not lane or not source.is_own:
            self._fill(lane, session, source)
        if source is not None:
            self._cut(lane, source.matched)
            self._keep_prefix(lane, source)
        self._forget_others(session, lane)
        lane.session, lane.is_busy = session, True
        self._touch(lane)
        return lane, len(lane.token_ids)

    def release(self, lane: Lane) -> None:
        """A conversation idles; what was evaluated stays."""
        lane.is_busy = False
        self._touch(lane)

    def resync(self, lane: Lane) -> int:
        """After a failed step: bring a lane back to the tokens it is known to hold.

        Returns:
            How many it holds now; 0 if it had to be cleared.
        """
        if not self._store.truncate(lane.index, len(lane.token_ids)):
            self._clear(lane)
        return len(lane.token_ids)

    def scrub(self, spoilt: Sequence[Lane]) -> None:
        """Empty busy lanes that hold what is no number, so that it reaches nobody.

        What begins as they do may hold it, too, and is forgotten. Idle conversations are parked.
        """
        self.park_idle()
        for lane in spoilt:
            self.parking.forget(lane.token_ids, MIN_SHARED)
            lane.token_ids = []
        states = [(lane, self._store.save(lane.index)) for lane in self.lanes if lane.token_ids]
        self._store.wipe()
        for lane, state in states:
            if not self._store.load(lane.index, state):
                lane.token_ids = []

    def park_idle(self) -> bool:
        """Empty the lanes of idle conversations; False if there were none."""
        idle = [lane for lane in self.lanes if not lane.is_busy and lane.token_ids]
        for lane in idle:
            self._vacate(lane)
        return bool(idle)

    def park(self, lane: Lane) -> None:
        """Take a busy conversation out of its lane."""
        lane.is_busy = False
        self._vacate(lane)

    def clear_all(self) -> None:
        """Forget what all lanes hold."""
        for lane in self.lanes:
            self._clear(lane)
            lane.is_busy = False

    def compact(self) -> list[tuple[Lane, Lane]]:
        """Make busy lanes neighbours again; returns the moves, from and to."""
        moves = []
        while self._packed and (gap := self._gap()) is not None:
            edge = min(self._edges(), key=lambda lane: len(lane.token_ids))
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
        """Whether an idle lane lies between busy ones, and that matters."""
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

    def _places(self, session: str) -> Iterator[tuple[Lane | Parked, bool]]:
        """Everything that has been evaluated; the conversation's own first."""
        own_lane, own_parked = self._resident(session), self.parking.of(session)
        if own_lane is not None:
            yield own_lane, True
        if own_parked is not None:
            yield own_parked, True
        yield from ((lane, False) for lane in self.lanes if lane is not own_lane)
        yield from ((parked, False) for parked in self.parking.recent(_LOOKED_AT))

    def _resident(self, session: str) -> Lane | None:
        mine = (lane for lane in self.lanes if lane.session == session and not lane.is_busy)
        return next(mine, None)

    # Lanes.

    def _choose_lane(self, session: str) -> Lane:
        """A free lane: its own, beside busy ones, empty, used longest ago."""
        free = [lane for lane in self.lanes if not lane.is_busy]
        near = [lane for lane in free if self._is_near(lane)] or free
        return min(
            near,
            key=lambda lane: (
                lane.session != session or not lane.token_ids,
                bool(lane.token_ids),
                lane.last_used,
                lane.index,
            ),
        )

    def _is_near(self, lane: Lane) -> bool:
        busy = self._busy_indexes()
        return not self._packed or not busy or busy[0] - 1 <= lane.index <= busy[-1] + 1

    def _busy_indexes(self) -> list[int]:
        return [lane.index for lane in self.lanes if lane.is_busy]

    def _edges(self) -> tuple[Lane, Lane]:
        busy = self._busy_indexes()
        return self.lanes[busy[0]], self.lanes[busy[-1]]

    def _gap(self) -> Lane | None:
        busy = self._busy_indexes()
        between = self.lanes[busy[0] : busy[-1]] if busy else []
        return next((lane for lane in between if not lane.is_busy), None)

    def _touch(self, lane: Lane) -> None:
        self._uses += 1
        lane.last_used = self._uses

    # Contents.

    def _fill(self, lane: Lane, session: str, source: _Source | None) -> None:
        """Let a lane hold what a source holds, or nothing."""
        place = source.place if source is not None else None
        if place is lane:
            # It lies here already, as another conversation's.
            self._park_content(lane)
            return
        if isinstance(place, Parked):
            self.parking.touch(place)
        self._vacate(lane, unless=session)
        if isinstance(place, Lane):
            is_filled = self._store.copy(place.index, lane.index)
        else:
            is_filled = place is not None and self._store.load(lane.index, place.state)
        if place is not None and is_filled:
            lane.token_ids = list(place.token_ids)

    def _make_way(self, lane: Lane) -> None:
        """Empty a lane; an idle conversation in it goes to another lane, or is parked."""
        empty = next((one for one in self.lanes if not one.token_ids and not one.is_busy), None)
        if empty is None or not lane.token_ids or not self._copies_fast:
            self._vacate(lane)
        elif self._store.copy(lane.index, empty.index):
            empty.token_ids, empty.session = lane.token_ids, lane.session
            empty.last_used = lane.last_used
            self._clear(lane)

    def _vacate(self, lane: Lane, unless: str | None = None) -> None:
        """Empty a lane; its conversation is parked, `unless` it is this one."""
        if lane.session != unless:
            self._park_content(lane)
        self._clear(lane)

    def _park_content(self, lane: Lane) -> None:
        """Keep what a conversation has in a lane; it stays there, too."""
        if lane.token_ids and lane.session is not None:
            self.parking.put(self._saved(lane, lane.session))

    def _saved(self, lane: Lane, session: str | None) -> Parked:
        """A lane's content; what its window has passed is not in it."""
        first = 0
        if self._window:
            first = max(self._store.first(lane.index), len(lane.token_ids) - self._window)
        state = self._store.save(lane.index)
        return Parked(session, list(lane.token_ids), state, first)

    def _clear(self, lane: Lane) -> None:
        self._store.clear(lane.index)
        lane.token_ids, lane.session = [], None

    def _cut(self, lane: Lane, length: int) -> None:
        """Keep the first tokens of a lane; none at all if the model cannot forget a part."""
        if len(lane.token_ids) <= length:
            return
        if self._store.truncate(lane.index, length):
            del lane.token_ids[length:]
            if not self._is_whole(self._store.first(lane.index) if self._window else 0, length):
                # It came here through a saved state, which lacks what its window had passed.
                self._clear(lane)
        else:
            self._can_truncate = False
            self._clear(lane)

    def _keep_prefix(self, lane: Lane, source: _Source) -> None:
        """Park a shared prefix by itself: the next one who shares it copies no more than that."""
        if source.is_own or source.is_whole or len(lane.token_ids) < MIN_SHARED:
            return
        self.parking.put(self._saved(lane, None))

    def _forget_others(self, session: str, lane: Lane) -> None:
        """A conversation is in one place only; what stays behind elsewhere is out of date."""
        self.parking.pop(session)
        for other in self.lanes:
            if other is not lane and other.session == session and not other.is_busy:
                self._clear(other)
