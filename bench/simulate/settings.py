"""What is simulated: a cluster, its users, and what happens to it."""

from dataclasses import dataclass
from enum import StrEnum

from shared.placement import DEFAULT_LIMITS, Limits


class Policy(StrEnum):
    """Who may start a turn."""

    NONE = "no affinity"
    """The next worker with a free slot."""
    STRICT = "strict home"
    """The worker that has the conversation's tokens, however long that takes."""
    BOUNDED = "bounded"
    """Palaver's own (`shared.placement`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Workers, all alike; by default an 8B model on a mid-range GPU."""

    workers: int = 200
    slots: int = 8
    prompt_rate: int = 4000
    """Prompt tokens that a worker evaluates in a second, one prompt after another."""
    reply_rate: int = 50
    """Tokens a second of each reply while no prompt is evaluated."""
    stall: float = 0.9
    """Share of that rate which replies lose while their worker evaluates a prompt: in a step of
    0.2 s their own pass takes 0.02 s."""
    cache_tokens: int = 400_000
    """Tokens of conversations that a worker holds, on the device and in host memory."""
    window: int = 3500
    kept_share: float = 0.6
    """What is left of a window that was full; it is evaluated ahead."""
    lease_s: float = 30.0
    policy: Policy = Policy.BOUNDED
    limits: Limits = DEFAULT_LIMITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Many new conversations that begin with one persona."""

    begins_s: float
    lasts_s: float
    share: float
    """Its turns as a share of the others."""
    persona_tokens: int = 1500
    turns: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Who asks."""

    load: float = 0.85
    """Share of all slots that would be busy if every prompt were cached."""
    conversations_per_slot: int = 25
    zipf: float = 1.0
    """How uneven activity is: the i-th conversation asks in proportion to 1 / i ** zipf."""
    think_s: float = 8.0
    """The least mean time between a reply and the next prompt of its conversation."""
    turns: int = 20
    """After so many a conversation ends, and another one begins."""
    context_tokens: int = 150
    prompt_tokens: int = 60
    reply_tokens: int = 250
    conversations_per_owner: int = 25
    heavy_share: float = 0.0
    """Share of the conversations that belong to one of the owners."""
    crowd: Crowd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deaths:
    """Workers that are killed at one moment, and come back empty."""

    at_s: float
    share: float
    back_after_s: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """All workers are drained and started anew, so many at a time."""

    at_s: float
    share: float
    """Workers that are away together."""
    restart_s: float = 15.0
    """From the end of the last reply to the first prompt that the new process takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """Workers that are added at one moment."""

    at_s: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run."""

    cluster: Cluster = Cluster()
    users: Users = Users()
    change: Deaths | Rollout | Growth | None = None
    warm_up_s: float = 40.0
    """Not measured."""
    measured_s: float = 120.0
    seed: int = 1
