"""What the batcher needs from a model: slots to evaluate in, samplers, states to keep.

A slot is a place in the KV cache for one conversation at a time; its id is one of llama.cpp's
sequence ids. `LlamaModel` implements this; tests script their own.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass
from typing import Protocol

from worker.engine.interface import DrawnLogprob, EngineError, Grammar, SamplingOptions

State = Sized
"""A copy of a slot's content; its length is its size in bytes."""


class NoRoom(EngineError):
    """The KV cache has not enough free cells; nothing was changed."""


class EvaluationFailed(EngineError):
    """A step failed; what its slots hold is unknown."""


class NotFinite(EngineError):
    """A reply's logits hold NaN, so no token can be drawn."""


@dataclass(frozen=True, slots=True)
class Part:
    """What one slot does in a step.

    Args:
        start: how many tokens the slot holds already.
        token_ids: at least one; evaluated after them.
        sampled: whether a token is drawn after the last one.
        num_drafted: how many of the last tokens are only drafts: a token is drawn before each of
            them, too.
    """

    slot_id: int
    start: int
    token_ids: Sequence[int]
    sampled: bool
    num_drafted: int = 0

    @property
    def num_outputs(self) -> int:
        """Tokens behind which one may be drawn."""
        return 1 + self.num_drafted if self.sampled else 0


class TokenSampler(Protocol):
    """Draws the tokens of one reply."""

    @property
    def logprob(self) -> DrawnLogprob | None:
        """The probability of the token drawn last, if the reply reports any."""
        ...

    def accept(self, token: int) -> None:
        """Record a token that was drawn in an earlier attempt."""
        ...

    def force(self, token_ids: Sequence[int]) -> None:
        """Have these tokens come next, whatever the logits say."""
        ...

    def constrain(self, grammar: Grammar | None) -> None:
        """Have the reply follow a grammar from the next token on; None lifts it.

        Raises:
            EngineError: it cannot be followed.
        """
        ...

    def close(self) -> None:
        """Free it."""
        ...


class Vocabulary(Protocol):
    """What tokens mean."""

    def piece_of(self, token: int) -> bytes:
        """A token's bytes; none for control tokens."""
        ...

    def text_of_control(self, token: int) -> str:
        """The text of a token that has no bytes, as chat templates write it."""
        ...

    def tokenize(self, text: str, *, special: bool) -> list[int]:
        """Ids of a text behind others; with `special`, control tokens in it are recognised."""
        ...

    def is_end(self, token: int) -> bool:
        """Whether a token ends the reply."""
        ...


class SlotStore(Protocol):
    """The content of slots."""

    def save(self, slot_id: int) -> State:
        """A copy of what a slot holds; with a sliding window, only what the window still sees."""
        ...

    def first(self, slot_id: int) -> int:
        """The position from which on all layers hold what was evaluated; 0 if that is everything.

        What a sliding window has passed may be missing. The slot can then continue at its end, and
        be cut back only as far as the window still finds everything it attends to.
        """
        ...

    def load(self, slot_id: int, state: State) -> bool:
        """Replace a slot's content; False if that failed, which leaves it empty."""
        ...

    def copy(self, source: int, target: int) -> bool:
        """Copy a slot's content to an empty slot; False if that failed, which leaves it empty."""
        ...

    def truncate(self, slot_id: int, length: int) -> bool:
        """Keep only the first tokens; False if the model cannot, which changes nothing."""
        ...

    def clear(self, slot_id: int) -> None:
        """Empty a slot."""
        ...

    def wipe(self) -> None:
        """Empty all slots and overwrite their memory.

        A slot's buffer is read as a whole: NaN anywhere in it spreads to whatever is evaluated in
        the slot later, even where nothing attends to it.
        """
        ...


class Backend(Vocabulary, SlotStore, Protocol):
    """A model with several slots.

    `packed`: a step is one pass over the weights only if its slots are neighbours.
    `copies_fast`: copying a slot takes less than such a pass.
    `window`: tokens that a sliding window attends to, its own included; 0 if all layers see all.
    `can_truncate`: slots can forget their last tokens, which states of recurrent models cannot.
    """

    @property
    def num_slots(self) -> int: ...

    @property
    def slot_size(self) -> int:
        """Tokens that a slot can hold."""
        ...

    @property
    def batch_size(self) -> int:
        """The most tokens of one step."""
        ...

    @property
    def packed(self) -> bool: ...

    @property
    def copies_fast(self) -> bool: ...

    @property
    def window(self) -> int: ...

    @property
    def can_truncate(self) -> bool: ...

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

    def draw(
        self, samplers: Sequence[TokenSampler], outputs: Sequence[int] | None = None
    ) -> list[int | EngineError]:
        """A token for each of these outputs of the last step, or the reason for none.

        `NotFinite` means NaN in the slot; any other error means that this reply cannot continue.
        Each output must be drawn from once at most.

        Args:
            samplers: one for each output.
            outputs: their numbers, counted over all parts of the step; None is the first ones.
        """
        ...

    def make_sampler(self, options: SamplingOptions) -> TokenSampler:
        """A sampler for one reply.

        Raises:
            EngineError: the options cannot be satisfied.
        """
        ...
