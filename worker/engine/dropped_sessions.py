"""Which conversations an engine no longer has the tokens of, for whoever counts on them."""

import threading
from itertools import islice
from typing import Final

_MOST: Final = 10_000
"""Conversations that are remembered until somebody has heard of them; the oldest are forgotten."""


class DroppedSessions:
    """Filled by the engine's thread, read by another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, None] = {}

    def add(self, session: str) -> None:
        """Nothing is left of a conversation."""
        with self._lock:
            self._sessions.pop(session, None)
            self._sessions[session] = None
            if len(self._sessions) > _MOST:
                del self._sessions[next(iter(self._sessions))]

    def discard(self, session: str) -> None:
        """A conversation is here again, or it is known by now that it was dropped."""
        with self._lock:
            self._sessions.pop(session, None)

    def first(self, limit: int) -> tuple[str, ...]:
        """Those that were dropped first, and have not come back since."""
        with self._lock:
            return tuple(islice(self._sessions, limit))
