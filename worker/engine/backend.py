"""What the batcher asks of a model: slots to evaluate in, samplers, and states to keep.

A slot is one of llama.cpp's sequence ids: a place in the KV cache for one conversation at a time.
`LlamaModel` is the real one; tests script their own.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Protocol

from worker.engine.interface import EngineError, SamplingOptions

State = Sized
"""A slot's content outside of it; its length is its size in bytes."""


class NoRoom(EngineError):
    """There are not enough free cells in the KV cache; nothing was changed."""


class EvaluationFailed(EngineError):
    """A step failed; what its slots hold is unknown."""


class NotFinite(EngineError):
    """What was computed for a reply are no numbers that a token can be drawn from."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one slot does in a step.

    Args:
        slot: where.
        start: how many tokens the slot holds already.
        token_ids: what is evaluated behind them, at least one.
        sampled: whether a token is to be drawn behind the last one.
    """

    slot_id: int
    start: int
    token_ids: Sequence[int]
    sampled: bool


class TokenSampler(Protocol):
    """Draws the tokens of one reply."""

    def accept(self, token: int) -> None:
        """Remember a token that was drawn in an earlier attempt."""
        ...

    def close(self) -> None:
        """Free it."""
        ...


class Vocabulary(Protocol):
    """What tokens mean."""

    def piece_of(self, token: int) -> bytes:
        """A token's bytes; none for control tokens."""
        ...

    def is_end(self, token: int) -> bool:
        """Whether a token ends the reply."""
        ...


class SlotStore(Protocol):
    """The content of slots."""

    def save(self, slot_id: int) -> State:
        """A copy of what a slot holds; of a sliding window, what it sees from the slot's end."""
        ...

    def first(self, slot_id: int) -> int:
        """The position from which on all layers hold what was evaluated; 0 if that is everything.

        With a sliding window what it has passed may be missing: then a slot can go on at its end,
        and be cut back only as long as the window still finds everything it looks at.
        """
        ...

    def load(self, slot_id: int, state: State) -> bool:
        """Replace what a slot holds; False if that failed (it is then empty)."""
        ...

    def copy(self, source: int, target: int) -> bool:
        """Let an empty slot hold what another one holds; False if that failed (it stays empty)."""
        ...

    def truncate(self, slot_id: int, length: int) -> bool:
        """Keep the first tokens only; False if the model cannot (nothing is changed)."""
        ...

    def clear(self, slot_id: int) -> None:
        """Empty a slot."""
        ...

    def wipe(self) -> None:
        """Empty all slots, and overwrite what was in them.

        A slot's buffer is read as a whole: what is no number (NaN) in it reaches whatever is
        evaluated in the slot later, although nothing looks at its place.
        """
        ...


class Backend(Vocabulary, SlotStore, Protocol):
    """A model with several slots.

    `packed`: a step is one pass over the weights only if its slots are neighbours.
    `copies_fast`: copying a slot takes less than such a pass.
    `window`: tokens that a sliding window looks at, its own included; 0 if all layers see all.
    """

    @property
    def num_slots(self) -> int: ...

    @property
    def slot_size(self) -> int:
        """Tokens that a slot can hold."""
        ...

    @property
    def batch_size(self) -> int:
        """Most tokens of one step."""
        ...

    @property
    def packed(self) -> bool: ...

    @property
    def copies_fast(self) -> bool: ...

    @property
    def window(self) -> int: ...

    @property
    def native_s(self) -> float:
        """Seconds spent inside the library so far."""
        ...

    def evaluate(self, parts: Sequence[Part]) -> None:
        """Evaluate all parts in one step.

        Raises:
            NoRoom: nothing was changed.
            EvaluationFailed: the slots' contents are unknown.
        """
        ...

    def draw(self, samplers: Sequence[TokenSampler]) -> list[int | EngineError]:
        """A token behind each sampled part of the last step, in order, or why there is none.

        `NotFinite` is given where something in a slot is no number; any other error means that
        this reply cannot go on. To be called once for a step.
        """
        ...

    def make_sampler(self, options: SamplingOptions) -> TokenSampler:
        """A sampler for one reply.

        Raises:
            EngineError: the options ask for something that cannot be had.
        """
        ...
