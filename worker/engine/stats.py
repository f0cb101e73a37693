"""Figures of an engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from worker.engine.placement import Placement


@dataclass(slots=True)
class Counters:
    """What a batcher has done since its start.

    Args:
        evaluated, cached: prompt tokens evaluated, and those found in the cache.
        generated: reply tokens.
        drafted, accepted: tokens that speculation evaluated, and how many of these were drawn.
        decoding_passes, decoded: passes that drew tokens, and how many they drew.
        step_s, native_s: time in steps, and how much of it was spent in the library.
    """

    passes: int = 0
    evaluated: int = 0
    cached: int = 0
    generated: int = 0
    drafted: int = 0
    accepted: int = 0
    preemptions: int = 0
    decoding_passes: int = 0
    decoded: int = 0
    step_s: float = 0.0
    native_s: float = 0.0

    def count_draws(self, num_drafted: int, accepted: Sequence[int]) -> None:
        """Count a pass that drew tokens.

        Args:
            num_drafted: drafts of each reply.
            accepted: for each reply, how many of these were drawn.
        """
        self.decoding_passes += 1
        self.decoded += len(accepted)
        self.drafted += num_drafted * len(accepted)
        self.accepted += sum(accepted)

    @property
    def batch_fill(self) -> float:
        """Mean number of replies in a decoding pass."""
        return round(self.decoded / max(1, self.decoding_passes), 2)

    @property
    def host_share(self) -> float:
        """Share of the time in steps that was not spent in the library."""
        return round(1 - self.native_s / self.step_s, 4) if self.step_s else 0.0


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What an engine has done since its start, and its load now.

    Args:
        passes: evaluations by the model, each of which reads all weights once.
        running, waiting: replies being generated, and those that wait for a slot.
        evaluated, cached: prompt tokens evaluated, and those found in the cache.
        generated: reply tokens.
        drafted, accepted: tokens that speculation evaluated, and how many of these were drawn.
        kv_tokens, kv_capacity: tokens in the KV cache, and how many fit into it.
        swapped_out, swapped_bytes: conversations and prefixes in host memory, and their size.
        preemptions: replies that had to give up their slot for a while.
        pass_ms: median time of the last passes.
        batch_fill: mean number of replies in a decoding pass.
        host_share: share of the time in steps that was not spent in the library.
        placement: what the model runs on.
    """

    passes: int = 0
    running: int = 0
    waiting: int = 0
    evaluated: int = 0
    cached: int = 0
    generated: int = 0
    drafted: int = 0
    accepted: int = 0
    kv_tokens: int = 0
    kv_capacity: int = 0
    swapped_out: int = 0
    swapped_bytes: int = 0
    preemptions: int = 0
    pass_ms: float = 0.0
    batch_fill: float = 0.0
    host_share: float = 0.0
    placement: Placement = field(default_factory=Placement)
