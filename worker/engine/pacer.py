"""How many prompt tokens to evaluate in one step, so that no step outlasts the heartbeat."""


class PrefillPacer:
    """Starts with small chunks and grows them while steps stay short.

    Args:
        largest: tokens of the largest chunk.
        longest_step_s: seconds that a step should stay under.
    """

    smallest = 32

    def __init__(self, largest: int, longest_step_s: float) -> None:
        self._largest = largest
        self._longest_step_s = longest_step_s
        self._size = min(self.smallest, largest)

    @property
    def size(self) -> int:
        """Tokens of the next chunk."""
        return self._size

    def record(self, num_tokens: int, seconds: float) -> None:
        """Learn from a chunk that was evaluated."""
        if seconds > self._longest_step_s:
            self._size = max(1, self._size // 2)
        elif num_tokens >= self._size and seconds < self._longest_step_s / 4:
            self._size = min(self._largest, self._size * 2)
