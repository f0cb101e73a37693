"""What a reply changes in a row of logits before a token is drawn: biases and penalties."""

from collections import Counter, deque
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

_REMEMBERED: Final = 64
"""The last tokens of a reply that penalties consider."""
_LARGEST: Final = 1e30
"""Rows with logits beyond this are judged as they were computed (`Sampler.settle`)."""


class Changes:
    """Adds biases, then applies penalties, as llama.cpp does.

    Args:
        biases: what is added, by token.
        repeat: divides the logits of the reply's last tokens, or multiplies negative ones.
        frequency: is subtracted for each occurrence among the last tokens.
        presence: is subtracted once.
    """

    def __init__(
        self, biases: Mapping[int, float], repeat: float, frequency: float, presence: float
    ) -> None:
        self._biases = dict(biases)
        self._repeat = np.float32(repeat)
        self._frequency, self._presence = np.float32(frequency), np.float32(presence)
        self._has_penalties = (repeat, frequency, presence) != (1.0, 0.0, 0.0)
        self._last: deque[int] = deque(maxlen=_REMEMBERED)
        self._before: tuple[npt.NDArray[np.intp], npt.NDArray[np.float32]] | None = None
        self.were_extreme = False
        """Whether the logits changed last were unusable before."""

    def remember(self, token: int) -> None:
        """Record a token that was drawn."""
        if self._has_penalties:
            self._last.append(token)

    def apply(self, logits: npt.NDArray[np.float32]) -> None:
        """Change a row."""
        if not (self._biases or self._last):
            return
        counts = dict.fromkeys(self._biases, 0) | Counter(self._last)
        token_ids = np.fromiter(counts, np.intp, len(counts))
        values = logits[token_ids]
        self._before = token_ids, values
        self.were_extreme = not (values <= _LARGEST).all()
        # NaN is found later.
        with np.errstate(invalid="ignore", over="ignore"):
            if self._biases:
                values = values + np.array([self._biases.get(i, 0.0) for i in counts], np.float32)
            if self._last:
                times = np.fromiter(counts.values(), np.float32, len(counts))
                values = self._penalized(values, times)
        logits[token_ids] = values

    def _penalized(
        self, values: npt.NDArray[np.float32], counts: npt.NDArray[np.float32]
    ) -> npt.NDArray[np.float32]:
        scaled = np.where(values <= 0, values * self._repeat, values / self._repeat)
        scaled -= counts * self._frequency + self._presence
        return np.where(counts > 0, scaled, values)

    def undo(self, logits: npt.NDArray[np.float32]) -> None:
        """Restore the row changed last."""
        if self._before is not None:
            token_ids, values = self._before
            logits[token_ids] = values
