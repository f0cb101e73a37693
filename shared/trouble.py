"""Log lines about failures that repeat: each at once, then once a minute."""

import logging
import time
from collections.abc import Callable
from typing import Final

_AGAIN_S: Final = 60.0
"""Seconds between two lines about the same failure."""


class Repeated:
    """Lines that would come again and again: each is due at once, then once a minute."""

    def __init__(self, *, every_s: float = _AGAIN_S, clock: Callable[[], float] = time.monotonic):
        self._every_s = every_s
        self._clock = clock
        self._said_at: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def due(self, line: str) -> int:
        """Count an occurrence; returns how many to report now, this one included, or 0 to wait."""
        self._unsaid[line] = times = self._unsaid.get(line, 0) + 1
        now, said_at = self._clock(), self._said_at.get(line)
        if said_at is not None and now - said_at < self._every_s:
            return 0
        self._said_at[line] = now
        self._unsaid[line] = 0
        return times

    def forget(self) -> None:
        """Whatever happens next is new."""
        self._said_at.clear()
        self._unsaid.clear()


class Trouble:
    """Something that all parts of a process need, and that fails for a while.

    One line when it begins, one a minute with the number of failures, one when no part has trouble
    any more; however many parts try however often.
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
        """It has failed; `part` is one that goes on trying, and says so when it is `over`."""
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
        """This part has succeeded, or tries no longer."""
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
