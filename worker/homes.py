"""What others believe to be in this worker's cache, and is not any more."""

from collections.abc import Callable
from typing import Final

from shared.wire.cold_homes import ColdHomes
from worker.engine.dropped_sessions import DroppedSessions

_MOST_PREFIXES: Final = 10_000
"""Stateless turns that are remembered; what they begin with is not looked for much longer."""


class Homes:
    """Remembers which prefix stands for which conversation in the engine.

    Args:
        dropped: conversations whose tokens the engine no longer has.
        concerns: whether it has to do with a conversation at all; None for all.
    """

    def __init__(
        self, dropped: DroppedSessions, concerns: Callable[[str], bool] | None = None
    ) -> None:
        self._dropped = dropped
        self._concerns = concerns
        self._prefixes: dict[str, str] = {}

    def committed(self, session: str, prefix: str) -> None:
        """The engine has a turn in its cache whose client's next request may begin with it."""
        if not prefix:
            return
        self._prefixes[session] = prefix
        if len(self._prefixes) > _MOST_PREFIXES:
            del self._prefixes[next(iter(self._prefixes))]

    def cold(self, limit: int) -> ColdHomes:
        """What was dropped first and is not reported yet."""
        sessions = self._dropped.first(limit, self._concerns)
        prefixes = tuple(
            self._prefixes[session] for session in sessions if session in self._prefixes
        )
        return ColdHomes(conversations=sessions, prefixes=prefixes)

    def reported(self, cold: ColdHomes) -> None:
        """Nobody waits for these any more."""
        for session in cold.conversations:
            self._dropped.discard(session)
            self._prefixes.pop(session, None)
