"""Which conversations an engine no longer has the tokens of, for whoever counts on them."""

import threading
from collections.abc import Callable
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

    def first(self, limit: int, concerns: Callable[[str], bool] | None = None) -> tuple[str, ...]:
        """Those that were dropped first, and have not come back since.

        Args:
            concerns: whether it is one of those that are asked for; None for all.
        """
        with self._lock:
            return tuple(islice(filter(concerns, self._sessions), limit))
