"""One reply's random numbers, the same as those of llama.cpp's own last sampler."""

from typing import Final

import numpy as np

_AHEAD: Final = 64
"""Numbers made at once; a single one would cost as much."""


class Uniform:
    """Numbers between 0 and 1 from a Mersenne twister, 64 bits for each, the lower half first.

    Args:
        seed: 32 bits.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.RandomState(seed)
        self._numbers: list[float] = []

    def next(self) -> float:
        """The next one."""
        if not self._numbers:
            words = np.frombuffer(self._random.bytes(8 * _AHEAD), "<u4").astype(np.float64)
            numbers = (words[0::2] + words[1::2] * 2.0**32) / 2.0**64
            self._numbers = numbers[::-1].tolist()
        return self._numbers.pop()
