"""Log lines about failures that repeat: the first at once, then one a minute."""

import logging
import time
from collections.abc import Callable
from typing import Final

_AGAIN_S: Final = 60.0
"""Seconds between two lines about the same failure."""


class Repeated:
    """Lines that would be logged again and again: each is due at once, then once a minute."""

    def __init__(self, *, every_s: float = _AGAIN_S, clock: Callable[[], float] = time.monotonic):
        self._every_s = every_s
        self._clock = clock
        self._logged_at: dict[str, float] = {}
        self._suppressed: dict[str, int] = {}

    def due(self, line: str) -> int:
        """Count an occurrence; returns how many to report now, this one included, or 0 to wait."""
        self._suppressed[line] = times = self._suppressed.get(line, 0) + 1
        now, logged_at = self._clock(), self._logged_at.get(line)
        if logged_at is not None and now - logged_at < self._every_s:
            return 0
        self._logged_at[line] = now
        self._suppressed[line] = 0
        return times

    def forget(self) -> None:
        """Treat whatever happens next as new."""
        self._logged_at.clear()
        self._suppressed.clear()


class Trouble:
    """Something that all parts of a process need fails for a while.

    Logs one line at the beginning, one a minute with the number of failures, and one when no part
    has trouble any more, however many parts try however often.
    """

    def __init__(
        self,
        logger: logging.Logger,
        what: str,
        *,
        every_s: float = _AGAIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._logger = logger
        self._what = what
        self._clock = clock
        self._repeated = Repeated(every_s=every_s, clock=clock)
        self._parts: set[str] = set()
        self._since = 0.0
        self._failures = 0

    def met(self, error: Exception, part: str | None = None) -> None:
        """Report a failure; `part` names a part that keeps trying until it calls `over`."""
        if not self._parts:
            self._since = self._clock()
        if part is not None:
            self._parts.add(part)
        self._failures += 1
        kind = type(error).__name__
        if times := self._repeated.due(kind):
            more = f", {times} times" if times > 1 else ""
            self._logger.warning("%s: %s: %s%s", self._what, kind, error, more)

    def over(self, part: str) -> None:
        """Report that this part has succeeded, or has stopped trying."""
        if part not in self._parts:
            return
        self._parts.remove(part)
        if not self._parts:
            seconds = self._clock() - self._since
            self._logger.warning(
                "%s: well again after %.1f s and %d failures", self._what, seconds, self._failures
            )
            self._failures = 0
            self._repeated.forget()
