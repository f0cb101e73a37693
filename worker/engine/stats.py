"""Figures of an engine, for whoever watches it."""

from dataclasses import dataclass, field

from worker.engine.placement import Placement


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What an engine did since its start, and how it is now.

    Args:
        steps: passes over the weights.
        running, waiting: replies under way, and those that wait for a slot.
        evaluated, cached, generated: tokens: prompt tokens evaluated, those that were there
            already, and reply tokens.
        lane_tokens: tokens in the KV cache now.
        lane_capacity: tokens that fit into it.
        parked: conversations and prefixes in host memory.
        parked_bytes: what they take.
        preemptions: replies that had to give their slot back for a while.
        step_ms: median of the last passes.
        batch_fill: mean number of replies in a decoding pass.
        host_share: share of the time in steps that was not spent in the library.
        placement: what the model runs on.
    """

    steps: int = 0
    running: int = 0
    waiting: int = 0
    evaluated: int = 0
    cached: int = 0
    generated: int = 0
    lane_tokens: int = 0
    lane_capacity: int = 0
    parked: int = 0
    parked_bytes: int = 0
    preemptions: int = 0
    step_ms: float = 0.0
    batch_fill: float = 0.0
    host_share: float = 0.0
    placement: Placement = field(default_factory=Placement)
