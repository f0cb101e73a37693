"""How the work of a function grows with what it is given, whatever the machine's speed."""

import time
from collections.abc import Callable
from typing import Final

_FACTOR: Final = 8
_ATTEMPTS: Final = 3
"""Something else may take the processor's caches in the middle of one."""


def is_linear(work: Callable[[int], object], size: int) -> bool:
    """Whether `work(size)` takes about eight times what an eighth of it takes.

    Times of one run are compared with each other, so that slow machines pass. Linear work is
    eight times as much, quadratic work 64 times; both together lie between, by their shares.
    """
    return any(_growth(work, size) < _FACTOR * 3 for _ in range(_ATTEMPTS))


def _growth(work: Callable[[int], object], size: int) -> float:
    small = min(_seconds(work, size // _FACTOR) for _ in range(2))
    return _seconds(work, size) / small


def _seconds(work: Callable[[int], object], size: int) -> float:
    begin = time.process_time()
    work(size)
    return time.process_time() - begin
