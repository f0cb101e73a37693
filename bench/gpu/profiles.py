"""How much is measured: all of it on a GPU, the same in small on a machine without one."""

from dataclasses import dataclass, replace
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Sizes of the workloads.

    Args:
        shape: the model's, of `bench.random_model.SHAPES`.
        sequences: how many replies run together, in turn.
        kinds: of `bench.host_cost.KINDS`: how their tokens are drawn.
        context: tokens in front of each reply.
        decodes: steps measured, and tokens of each reply at least.
        streams: replies that run while a long prompt comes.
        long_prompt: tokens of that prompt, and of the state that is saved and restored.
        host_vocabularies: for the host's cost.
        users, reply_tokens: of the whole system.
    """

    shape: str
    sequences: tuple[int, ...]
    kinds: tuple[str, ...]
    context: int
    decodes: int
    streams: int
    long_prompt: int
    host_vocabularies: tuple[int, ...]
    users: int
    reply_tokens: int


_8B: Final = Profile(
    shape="8b",
    sequences=(1, 8, 32, 64),
    kinds=("defaults", "greedy", "penalties", "schema"),
    context=1000,
    decodes=64,
    streams=31,
    long_prompt=2000,
    host_vocabularies=(128_256,),
    users=32,
    reply_tokens=128,
)

PROFILES: Final = {
    "8b": _8B,
    "8b-short": replace(_8B, sequences=(8, 32, 64), kinds=("defaults", "greedy")),
    "tiny": Profile(
        shape="tiny",
        sequences=(1, 4),
        kinds=("defaults", "greedy", "penalties", "schema"),
        context=100,
        decodes=8,
        streams=3,
        long_prompt=200,
        host_vocabularies=(1024,),
        users=4,
        reply_tokens=16,
    ),
}
