"""What a worker tells of itself."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerState:
    """What a worker tells of itself: its model, its slots and how many run, its engine's steps.

    `stats` are the engine's figures, `turns` what became of its turns, both as JSON.
    `context_length` is what `PALAVER_CONTEXT_LENGTH` says, `window` what came of it, in tokens.
    """

    model_name: str
    fingerprint: str
    slots: int
    running: int
    steps: int
    stats: bytes = b"{}"
    turns: bytes = b"{}"
    context_length: int = 0
    window: int = 0
