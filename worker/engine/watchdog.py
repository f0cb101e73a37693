"""Tells a slow step from one that hangs.

It measures the processor time ("work") of the evaluating thread instead of wall time: on a machine
that is busy or was suspended, a healthy step may take any time, but no more work than similar ones.
A step hangs if it has taken far more work than similar steps (waiting in a loop for a device that
never answers), or has done no work at all for a long time.
"""

import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_PATIENCE: Final = 10
"""A step may take this many times the work of similar steps."""
_REMEMBERED: Final = 64
_LEAST_SHARE: Final = 0.002
"""Share of a core below which a thread counts as doing nothing."""

Clock = Callable[[], float]


class Watchdog:
    """Watches the steps of one thread, which calls `begin` and `end`; another thread asks.

    Args:
        stuck_after_s: a step with less work and less idle time than this never counts as hanging.
        wall: wall time in seconds.
    """

    def __init__(self, stuck_after_s: float, *, wall: Clock = time.monotonic) -> None:
        self.pass_times: deque[float] = deque(maxlen=_REMEMBERED)
        """Wall time of the last steps in seconds."""
        self.progress = 0
        """Grows with every step, and whenever a check finds that one is working."""
        self._stuck_after_s = stuck_after_s
        self._wall = wall
        self._work: Clock = time.thread_time
        self._step: tuple[int, float, float] | None = None
        self._costs: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._last_check: tuple[tuple[int, float, float], float, float] | None = None
        self._still_s = 0.0

    def follow(self, work: Clock) -> None:
        """Measure work with this clock, in seconds, from now on.

        Needed before another thread asks: without it each thread measures its own.
        """
        self._work = work

    def begin(self, num_tokens: int) -> None:
        """Start the measurement of a step."""
        self._step = num_tokens, self._wall(), self._work()

    def end(self) -> None:
        """Record the step."""
        assert self._step is not None
        num_tokens, wall, work = self._step
        self._step = None
        self._costs.append((num_tokens, self._work() - work))
        self.pass_times.append(self._wall() - wall)
        self.progress += 1

    def stuck_for(self) -> float:
        """Seconds by which the current step exceeds what a healthy one takes; 0 if it does not.

        Must be called regularly: idle time is measured from one call to the next.
        """
        step, costs = self._step, list(self._costs)
        if step is None or not costs:
            # Without earlier steps there is no measure for a slow machine.
            self._last_check = None
            return 0.0
        num_tokens, _, began = step
        work = self._work()
        limit = max(self._stuck_after_s, _PATIENCE * _expected(num_tokens, costs))
        return max(0.0, work - began - limit, self._still(step, work) - self._stuck_after_s)

    def _still(self, step: tuple[int, float, float], work: float) -> float:
        """Seconds during which this step was seen doing nothing."""
        now, last_check = self._wall(), self._last_check
        self._last_check = step, now, work
        if last_check is None or last_check[0] is not step:
            self._still_s = 0.0
            return 0.0
        passed = now - last_check[1]
        if work - last_check[2] > _LEAST_SHARE * passed:
            self._still_s = 0.0
            self.progress += 1
        else:
            # A suspended process has not checked meanwhile.
            self._still_s += min(passed, self._stuck_after_s / 2)
        return self._still_s


def _expected(num_tokens: int, costs: list[tuple[int, float]]) -> float:
    """Work of a step with so many tokens: the median of other steps, by step or by token."""
    by_token = statistics.median(work / max(1, tokens) for tokens, work in costs)
    return max(statistics.median(work for _, work in costs), num_tokens * by_token)


def thread_clock(thread_id: int | None) -> Clock:
    """A thread's processor time; the whole process's where threads have no clock."""
    if thread_id is None or not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time
    clock = time.pthread_getcpuclockid(thread_id)
    return lambda: time.clock_gettime(clock)
