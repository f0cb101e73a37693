"""Threads that help with calls which leave Python's lock to others."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue

Call = Callable[[], object]


class Crew:
    """Makes calls, in whatever order, on as many threads as are awake in time.

    Each call should be a long one: between two of them a thread needs Python's lock,
    and may have to be woken for it.

    Args:
        helpers: threads beside the caller's.
        name: of the threads.
    """

    def __init__(self, helpers: int, name: str) -> None:
        self._work: SimpleQueue[deque[Call] | None] = SimpleQueue()
        self._outcomes: SimpleQueue[Exception | None] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._help, name=f"{name}-{number}", daemon=True)
            for number in range(helpers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def size(self) -> int:
        """Threads that make calls, the caller's included."""
        return 1 + len(self._threads)

    def run(self, calls: Sequence[Call]) -> None:
        """Make all calls; one that raises does so here, once the others are done."""
        left = deque(calls)
        for _ in range(min(len(self._threads), len(calls) - 1)):
            self._work.put(left)
        outcomes = []
        while left:
            outcomes += _outcome_of_next(left)
        # Who wakes up too late finds nothing left, and says nothing.
        outcomes += [self._outcomes.get() for _ in range(len(calls) - len(outcomes))]
        for error in outcomes:
            if error is not None:
                raise error

    def _help(self) -> None:
        while (left := self._work.get()) is not None:
            while left:
                for outcome in _outcome_of_next(left):
                    self._outcomes.put(outcome)

    def close(self) -> None:
        """End the threads."""
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()


def _outcome_of_next(left: deque[Call]) -> list[Exception | None]:
    """Make the next call, if there still is one: what it raised, or None."""
    try:
        call = left.popleft()
    except IndexError:
        return []
    try:
        call()
    except Exception as error:  # it belongs to the caller of `run`
        return [error]
    return [None]
