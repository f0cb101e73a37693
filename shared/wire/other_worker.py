"""A worker that does not fit to the others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherWorker:
    """A living worker beside which a process must not start.

    Args:
        differs: what it has otherwise: its `model`, or its `context_length`.
        value: the model's name, or the setting.
        known_for_s: how long it counts as living without another word.
    """

    worker_id: str
    differs: str
    value: str
    known_for_s: float

    def described(self, context_length: int) -> str:
        """What it has otherwise; `context_length` is ours."""
        if self.differs == "model":
            return f"worker {self.worker_id} runs another model ({self.value})"
        return (
            f"worker {self.worker_id} has PALAVER_CONTEXT_LENGTH={self.value}, this process has "
            f"{context_length}"
        )
