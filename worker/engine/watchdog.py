"""Whether a step goes on, however slowly, or hangs.

Judged by the processor time of the thread that evaluates, not by the clock: on a machine that is
busy with other things, or was stopped for a while, a sound step takes any time, but no more work
than others of its kind. A step hangs that has taken far more work than its kind (a device that
never answers is waited for in a loop), or that has done none at all for a long while.
"""

import statistics
import time
from collections import deque
from collections.abc import Callable
from typing import Final

_PATIENCE: Final = 10
"""A step may take this many times the work of its kind."""
_REMEMBERED: Final = 64
_LEAST_SHARE: Final = 0.002
"""Of a core: a thread that gets less does nothing."""

Clock = Callable[[], float]


class Watchdog:
    """Watches the steps of one thread, which calls `begin` and `end`; another one asks.

    Args:
        stuck_after_s: a step that has taken less than this, in work or standing still, never hangs.
        wall: seconds, by the clock.
    """

    def __init__(self, stuck_after_s: float, *, wall: Clock = time.monotonic) -> None:
        self.step_times: deque[float] = deque(maxlen=_REMEMBERED)
        """Seconds of the last steps, by the clock."""
        self.progress = 0
        """Grows with every step, and whenever a look finds that one goes on."""
        self._stuck_after_s = stuck_after_s
        self._wall = wall
        self._work: Clock = time.process_time
        self._step: tuple[int, float, float] | None = None
        self._costs: deque[tuple[int, float]] = deque(maxlen=_REMEMBERED)
        self._looked: tuple[tuple[int, float, float], float, float] | None = None
        self._still_s = 0.0

    def follow(self, work: Clock) -> None:
        """Judge by this clock of work, in seconds, from now on."""
        self._work = work

    def begin(self, num_tokens: int) -> None:
        """A step begins."""
        self._step = num_tokens, self._wall(), self._work()

    def end(self) -> None:
        """It has ended."""
        assert self._step is not None
        num_tokens, wall, work = self._step
        self._step = None
        self._costs.append((num_tokens, self._work() - work))
        self.step_times.append(self._wall() - wall)
        self.progress += 1

    def stuck_for(self) -> float:
        """Seconds by which the current step exceeds what a sound one takes; 0 if it does not.

        To be asked again and again: standing still is only what two looks have seen.
        """
        step, costs = self._step, list(self._costs)
        if step is None or not costs:
            # On a slow machine nothing says how long the first step may take.
            self._looked = None
            return 0.0
        num_tokens, _, began = step
        work = self._work()
        limit = max(self._stuck_after_s, _PATIENCE * _expected(num_tokens, costs))
        return max(0.0, work - began - limit, self._still(step, work) - self._stuck_after_s)

    def _still(self, step: tuple[int, float, float], work: float) -> float:
        """Seconds for which this step has been seen to do nothing."""
        now, looked = self._wall(), self._looked
        self._looked = step, now, work
        if looked is None or looked[0] is not step:
            self._still_s = 0.0
            return 0.0
        passed = now - looked[1]
        if work - looked[2] > _LEAST_SHARE * passed:
            self._still_s = 0.0
            self.progress += 1
        else:
            # A process that was stopped as a whole has not looked meanwhile.
            self._still_s += min(passed, self._stuck_after_s / 2)
        return self._still_s


def _expected(num_tokens: int, costs: list[tuple[int, float]]) -> float:
    """Work of a step with so many tokens, from that of others: by the step, or by the token."""
    by_token = statistics.median(work / max(1, tokens) for tokens, work in costs)
    return max(statistics.median(work for _, work in costs), num_tokens * by_token)


def thread_clock(thread_id: int | None) -> Clock:
    """The processor time of a thread; that of the whole process where threads have no clock."""
    if thread_id is None or not hasattr(time, "pthread_getcpuclockid"):
        return time.process_time
    clock = time.pthread_getcpuclockid(thread_id)
    return lambda: time.clock_gettime(clock)
