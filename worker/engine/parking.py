"""Contents of slots in host memory: conversations that idle, and prefixes that many share."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from worker.engine.backend import State
from worker.engine.prefixes import common_prefix


@dataclass(frozen=True, slots=True)
class Parked:
    """What a slot held: `session` is None for a prefix that belongs to nobody.

    `first` is the position from which on all of it is there (`SlotStore.first`).
    """

    session: str | None
    token_ids: list[int]
    state: State
    first: int = 0


class Parking:
    """Keeps states within a budget; the least recently used go first.

    Args:
        budget: bytes.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._entries: OrderedDict[str, Parked] = OrderedDict()
        self._prefix_numbers = count()
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, parked: Parked) -> None:
        """Keep a state; a conversation's older one is replaced."""
        if parked.session is not None:
            self.pop(parked.session)
        if len(parked.state) > self._budget:
            return
        self._entries[self._key(parked)] = parked
        self.num_bytes += len(parked.state)
        while self.num_bytes > self._budget:
            self._remove(next(iter(self._entries)))

    def of(self, session: str) -> Parked | None:
        """A conversation's state."""
        return self._entries.get(_session_key(session))

    def pop(self, session: str) -> None:
        """Forget a conversation's state, if there is one."""
        if _session_key(session) in self._entries:
            self._remove(_session_key(session))

    def forget(self, token_ids: Sequence[int], shared: int) -> None:
        """Forget all states that have at least so many first tokens in common with these."""
        for key, parked in list(self._entries.items()):
            if common_prefix(parked.token_ids, token_ids) >= shared:
                self._remove(key)

    def touch(self, parked: Parked) -> None:
        """A state was used just now."""
        for key, entry in reversed(self._entries.items()):
            if entry is parked:
                self._entries.move_to_end(key)
                return

    def recent(self, limit: int) -> Iterator[Parked]:
        """The states used last, the newest first."""
        return islice(reversed(self._entries.values()), limit)

    def _key(self, parked: Parked) -> str:
        if parked.session is None:
            return f"prefix {next(self._prefix_numbers)}"
        return _session_key(parked.session)

    def _remove(self, key: str) -> None:
        self.num_bytes -= len(self._entries.pop(key).state)


def _session_key(session: str) -> str:
    return f"session {session}"
