"""A worker that prevents another from starting."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWorker:
    """A live worker whose model or context length differs from ours.

    Args:
        differs: `model` or `context_length`.
        value: its model's name, or its setting.
        known_for_s: how long it still counts as alive.
    """

    worker_id: str
    differs: str
    value: str
    known_for_s: float

    def described(self, context_length: int) -> str:
        """The difference in words; `context_length` is ours."""
        if self.differs == "model":
            return f"worker {self.worker_id} runs another model ({self.value})"
        return (
            f"worker {self.worker_id} has PALAVER_CONTEXT_LENGTH={self.value}, this process has "
            f"{context_length}"
        )
