"""Turns and owners in order, as Redis's sorted sets keep them."""

from collections import Counter, defaultdict
from heapq import heappop, heappush
from itertools import count

from bench.simulate.turn import READY, Turn
from shared.placement import next_tag, virtual_time

additions = count()
"""A turn whose worker died is added again, with the same tag."""


class Line:
    """Turns by tag; those that are in another state by now are skipped."""

    __slots__ = ("_heap", "_states")

    def __init__(self, *states: int) -> None:
        self._heap: list[tuple[int, int, int, Turn]] = []
        self._states = states

    def add(self, turn: Turn) -> None:
        heappush(self._heap, (turn.tag, turn.number, next(additions), turn))

    def first(self) -> Turn | None:
        heap = self._heap
        while heap:
            turn = heap[0][3]
            if turn.state in self._states:
                return turn
            heappop(heap)
        return None

    def all(self) -> list[Turn]:
        return [turn for *_, turn in self._heap if turn.state in self._states]


class Owners:
    """How often each owner was served, and the turns that any worker may start."""

    def __init__(self) -> None:
        self._served: dict[int, int] = {}
        self._last_tags: dict[int, int] = {}
        self._waiting: Counter[int] = Counter()
        """Turns that may start, held or ready."""
        self._ready: Counter[int] = Counter()
        self._lines: dict[int, Line] = defaultdict(lambda: Line(READY))
        self._heap: list[tuple[int, int]] = []
        self._clock = 0

    def served(self, turn: Turn) -> int:
        return self._served[turn.dialogue.owner]

    def tag(self, owner: int) -> int:
        """Of a turn that it submits."""
        tag = next_tag(clock=self._clock, last=self._last_tags.get(owner))
        self._last_tags[owner] = tag
        return tag

    def join(self, turn: Turn) -> None:
        """A turn may start, though perhaps on its home alone."""
        owner = turn.dialogue.owner
        if not self._waiting[owner]:
            last = self._served.get(owner)
            self._served[owner] = virtual_time(clock=self._clock, last=last)
        self._waiting[owner] += 1

    def add(self, turn: Turn) -> None:
        """A turn may start on any worker."""
        owner = turn.dialogue.owner
        self._lines[owner].add(turn)
        self._ready[owner] += 1
        heappush(self._heap, (self._served[owner], owner))

    def start(self, turn: Turn) -> None:
        owner = turn.dialogue.owner
        self._served[owner] += 1
        self._clock = max(self._clock, self._served[owner])
        self._waiting[owner] -= 1
        self._ready[owner] -= turn.state == READY
        if self._ready[owner]:
            heappush(self._heap, (self._served[owner], owner))

    def next(self) -> Turn | None:
        """The first ready turn of the owner that was served least."""
        heap = self._heap
        while heap:
            served, owner = heap[0]
            if self._ready[owner] and self._served[owner] == served:
                return self._lines[owner].first()
            heappop(heap)
        return None
