"""Slots' contents in host memory: idle conversations, and prefixes that many share."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count, islice

from worker.engine.backend import State
from worker.engine.dropped_sessions import DroppedSessions
from worker.engine.prefixes import common_prefix


@dataclass(frozen=True, slots=True)
class SwappedOut:
    """What a slot held.

    Args:
        session: whose it is; None for a prefix that belongs to no conversation.
        first: the position from which on all of it is there (`SlotStore.first`).
    """

    session: str | None
    token_ids: list[int]
    state: State
    first: int = 0


class SwapSpace:
    """Keeps contents within a budget; the least recently used are dropped first.

    Args:
        budget: bytes.
        dropped: learns which conversations there was no room for.
    """

    def __init__(self, budget: int, dropped: DroppedSessions) -> None:
        self._budget = budget
        self._dropped = dropped
        self._entries: OrderedDict[str, SwappedOut] = OrderedDict()
        self._prefix_numbers = count()
        self.num_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, content: SwappedOut) -> None:
        """Keep a content; it replaces an older one of the same conversation."""
        if content.session is not None:
            self.drop(content.session)
        if len(content.state) > self._budget:
            return self._report(content)
        self._entries[self._key(content)] = content
        self.num_bytes += len(content.state)
        while self.num_bytes > self._budget:
            self._report(self._remove(next(iter(self._entries))))
        return None

    def get(self, session: str) -> SwappedOut | None:
        """A conversation's content."""
        return self._entries.get(_session_key(session))

    def drop(self, session: str) -> None:
        """Forget a conversation's content, if there is one."""
        if _session_key(session) in self._entries:
            self._remove(_session_key(session))

    def drop_sharing(self, token_ids: Sequence[int], num_shared: int) -> None:
        """Forget everything that has at least `num_shared` first tokens in common with these."""
        for key, content in list(self._entries.items()):
            if common_prefix(content.token_ids, token_ids) >= num_shared:
                self._report(self._remove(key))

    def touch(self, content: SwappedOut) -> None:
        """Mark a content as used just now."""
        for key, entry in reversed(self._entries.items()):
            if entry is content:
                self._entries.move_to_end(key)
                return

    def recent(self, limit: int) -> Iterator[SwappedOut]:
        """The contents used last, the newest first."""
        return islice(reversed(self._entries.values()), limit)

    def _key(self, content: SwappedOut) -> str:
        if content.session is None:
            return f"prefix {next(self._prefix_numbers)}"
        return _session_key(content.session)

    def _remove(self, key: str) -> SwappedOut:
        content = self._entries.pop(key)
        self.num_bytes -= len(content.state)
        return content

    def _report(self, content: SwappedOut) -> None:
        if content.session is not None:
            self._dropped.add(content.session)


def _session_key(session: str) -> str:
    return f"session {session}"
