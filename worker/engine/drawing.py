"""A token for each row of logits, drawn by the library that `drawing.cpp` is compiled into.

Rows are shared among threads, some in each call. Each is computed as if it were alone, to the last
bit: a reply with a seed does not depend on the rest of the batch.
"""

import ctypes
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from worker.engine.crew import Crew

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]
DrawRows = Callable[..., None]
"""`palaver_draw_2` in drawing.cpp."""

_MOST: Final = 500
"""Of a row's largest tokens that a quick rule can ask for."""
_LIBRARY: Final = "worker.engine._drawing"
_FUNCTION: Final = "palaver_draw_2"
SLOW_DRAWING: Final = (
    "the compiled library that draws tokens is missing or of another version: drawing takes "
    "longer, which many replies on a GPU feel; install Palaver again, with a C++ compiler"
)
"""What to tell where there is no library."""
_CALLS_A_THREAD: Final = 2
"""So that those who are awake at once draw more than those who have to be woken."""
_TOKENS_A_CALL: Final = 1 << 18
"""At least: waking a thread takes about as long as reading a third of this (1 MiB)."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one reply's tokens are drawn.

    Args:
        count: number of the largest tokens (top_k); 1 is greedy, 0 is all.
        mass: share that the likeliest tokens have together (top_p); 1 or more is all.
        depth: how far below the largest logit others may be (the logarithm of min_p).
        temperature: above 0.
        typical: share that the most typical tokens have together (typical_p); 1 is all.
    """

    count: int
    mass: float
    depth: float
    temperature: float
    typical: float = 1.0

    @property
    def is_quick(self) -> bool:
        """Whether a few of the largest logits are enough to draw from; for others see `Sampler`."""
        if self.typical < 1:
            return False
        if self.count > 0:
            return self.count <= _MOST
        return self.mass >= 1 and self.depth > -math.inf

    def as_row(self) -> tuple[float, float, float, float]:
        """The rule as a row of the table that the library reads."""
        return self.count, self.mass, self.depth, self.temperature


@dataclass(frozen=True, slots=True)
class Drawn:
    """What came of each row.

    Args:
        token_ids: None for a row that has to be looked at otherwise: more than some thousand of
            its tokens are candidates, or its largest logit is infinite or NaN.
        largest: the largest logit; NaN where a row has one.
    """

    token_ids: Sequence[int | None]
    largest: Sequence[float]


class Drawer:
    """Draws from all rows of a step.

    Args:
        threads: that do so at most, the caller's included.
        draw_rows: what `compiled` has found; without it nothing is drawn.
    """

    def __init__(self, threads: int, draw_rows: DrawRows | None) -> None:
        self._draw_rows = draw_rows
        self._crew = Crew(max(1, threads) - 1, "logits")

    def draw(
        self, rows: Floats, rules: npt.NDArray[np.float64], uniforms: Sequence[float]
    ) -> Drawn:
        """A token for each row.

        Args:
            rows: rows × vocabulary, one behind the other.
            rules: `Rule.as_row` of each row, of quick ones.
            uniforms: a random number for each row.
        """
        if self._draw_rows is None:
            return Drawn([None] * len(rows), rows.max(axis=1).tolist())
        rows = np.ascontiguousarray(rows, np.float32)
        numbers = np.array(uniforms, np.float64)
        token_ids = np.empty(len(rows), np.int32)
        largest = np.empty(len(rows), np.float32)
        arrays = rows, np.ascontiguousarray(rules, np.float64), numbers, token_ids, largest
        call = partial(_draw_share, self._draw_rows, arrays)
        self._crew.run([partial(call, share) for share in self._shares(rows)])
        return Drawn(
            [token if token >= 0 else None for token in token_ids.tolist()], largest.tolist()
        )

    def _shares(self, rows: Floats) -> list[range]:
        """The numbers of the rows that are drawn from in one call each."""
        calls = min(_CALLS_A_THREAD * self._crew.size, max(1, rows.size // _TOKENS_A_CALL))
        size = -(-len(rows) // calls) if self._crew.size > 1 else len(rows)
        return [range(begin, min(begin + size, len(rows))) for begin in range(0, len(rows), size)]

    def close(self) -> None:
        """End the threads."""
        self._crew.close()


def _draw_share(draw_rows: DrawRows, arrays: Sequence[npt.NDArray[Any]], share: range) -> None:
    """Draw from some rows. Holds the arrays for as long as the library writes to them."""
    rows, *others = (array.ctypes.data for array in arrays)
    draw_rows(rows, arrays[0].shape[1], *others, share.start, share.stop)


@cache
def compiled() -> DrawRows | None:
    """The compiled function; None where it was not compiled, or with other arguments."""
    found = find_spec(_LIBRARY)
    if found is None or found.origin is None:
        return None
    try:
        function = ctypes.CDLL(found.origin)[_FUNCTION]
    except (OSError, AttributeError):
        return None
    address, number = ctypes.c_void_p, ctypes.c_int64
    function.argtypes = [address, number, *[address] * 4, number, number]
    function.restype, function.errcheck = ctypes.c_int32, _check
    return function


def _check(status: Any, *_call: object) -> Any:
    if status:
        raise MemoryError("no memory to draw tokens with")
    return status
