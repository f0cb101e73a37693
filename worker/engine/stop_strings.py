"""Finds stop strings in text that arrives in pieces."""

from collections.abc import Sequence


class StopStrings:
    """Passes text on up to a stop string, and holds back what may become one.

    Args:
        stop: strings that end the reply.
    """

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(stop)
        self._held = ""
        self.hit: str | None = None
        """The stop string that was found."""

    def push(self, text: str) -> str:
        """Add text; returns what is certain not to belong to a stop string."""
        if not self._stop:
            return text
        self._held += text
        found = [(at, stop) for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            at, self.hit = min(found)
            return self._take(at)
        return self._take(len(self._held) - self._longest_beginning())

    def flush(self) -> str:
        """What was held back; no stop string can begin in it any more."""
        return self._take(len(self._held))

    def _take(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        if self.hit is not None:
            self._held = ""
        return text

    def _longest_beginning(self) -> int:
        """Length of the longest end of the held text that a stop string begins with."""
        longest = max(map(len, self._stop)) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0
