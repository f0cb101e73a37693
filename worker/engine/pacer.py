"""How many prompt tokens to evaluate in one step."""

from typing import Final

BETWEEN_TOKENS_S: Final = 0.2
"""Target time between two tokens of replies while a prompt is evaluated, their step included."""
_LEAST_S: Final = 0.05
"""What a prompt gets of that time at least, however long the replies' step takes."""
ALONE_S: Final = 0.3
"""Target time of a chunk while no reply waits: a new short prompt must not wait longer."""

_SMALLEST: Final = 32
_WEIGHT: Final = 0.3
"""Weight of the newest chunk in the moving average."""


class PrefillPacer:
    """Learns how fast prompts are evaluated; starts with small chunks and at most doubles them.

    Args:
        largest: tokens of the largest chunk.
        longest_step_s: no chunk should take longer in any case.
    """

    def __init__(self, largest: int, longest_step_s: float) -> None:
        self._largest = largest
        self._longest_step_s = longest_step_s
        self._proven = min(_SMALLEST, largest)
        self._tokens_per_s: float | None = None
        self._decode_s = 0.0

    @property
    def tokens_per_s(self) -> int:
        """How fast prompts are evaluated; 0 as long as that is not known."""
        return int(self._tokens_per_s or 0)

    def size(self, *, alongside_decodes: bool) -> int:
        """Prompt tokens of the next step."""
        if self._tokens_per_s is None:
            return self._proven
        target_s = ALONE_S
        if alongside_decodes:
            target_s = max(_LEAST_S, BETWEEN_TOKENS_S - self._decode_s)
        size = int(self._tokens_per_s * min(self._longest_step_s, target_s))
        # Not below the smallest: shorter chunks cost as much and say nothing about the speed.
        return min(max(size, _SMALLEST), self._proven)

    def record(self, num_tokens: int, seconds: float) -> None:
        """Learn from an evaluated chunk."""
        if num_tokens < min(_SMALLEST, self._proven):
            return  # a short one measures reading the weights, not evaluating tokens
        rate = num_tokens / max(seconds, 1e-6)
        if self._tokens_per_s is None:
            self._tokens_per_s = rate
        else:
            self._tokens_per_s += _WEIGHT * (rate - self._tokens_per_s)
        if 2 * num_tokens > self._proven and seconds < self._longest_step_s / 2:
            self._proven = min(self._largest, 2 * num_tokens)
        elif seconds > self._longest_step_s:
            self._proven = max(1, num_tokens // 2)

    def record_decodes(self, seconds: float) -> None:
        """Learn from a step of replies."""
        self._decode_s += _WEIGHT * (seconds - self._decode_s)

    def shrink(self) -> bool:
        """Halve the chunks, as there was no room for one; False if they cannot get smaller."""
        if self._proven <= 1:
            return False
        self._proven //= 2
        return True
