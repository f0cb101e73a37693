"""Decides what the next step evaluates: decodes, then prompts, shortest first, with ageing."""

from collections import deque
from dataclasses import dataclass, replace
from typing import Final

from worker.engine.backend import Part
from worker.engine.drafter import Drafter
from worker.engine.sequence import Sequence

AGEING: Final = 16
"""Tokens by which a prompt counts as shorter for each step that it has waited."""

MOST_SPECULATING: Final = 2
"""Running sequences up to which drafts are evaluated; more of them use a pass well without."""

_MIN_CHUNK: Final = 16
"""Tokens below which a chunk is not worth a pass of its own after other chunks."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """The next `num_tokens` tokens of a running sequence, and `drafts` of what follows them."""

    sequence: Sequence
    num_tokens: int
    drafts: tuple[int, ...] = ()

    def part(self) -> Part:
        """What the sequence's slot does in a step."""
        sequence, start = self.sequence, self.sequence.num_computed
        assert sequence.slot is not None, "it runs"
        size = self.num_tokens
        if size > 1:
            size = min(size, sequence.num_until_border)
        token_ids = sequence.token_ids[start : start + size]
        is_last = start + size == len(sequence.token_ids)
        is_sampled = is_last and not sequence.is_background
        if not self.drafts:
            return Part(sequence.slot.index, start, token_ids, is_sampled)
        drafts = self.drafts
        return Part(sequence.slot.index, start, [*token_ids, *drafts], is_sampled, len(drafts))

    @property
    def is_decode(self) -> bool:
        """Whether it is a single token, apart from drafts."""
        return self.num_tokens == 1

    def without_drafts(self) -> "Chunk":
        """The same without what is only likely."""
        return replace(self, drafts=())


@dataclass(frozen=True, slots=True)
class Schedule:
    """What one step evaluates: all decodes in one pass, then one pass for each prompt's chunk."""

    decodes: list[Chunk]
    prefills: list[Chunk]

    @property
    def passes(self) -> list[list[Chunk]]:
        """The calls to the model, in order."""
        prefills = [[chunk] for chunk in self.prefills]
        return [self.decodes, *prefills] if self.decodes else prefills


class Scheduler:
    """Sequences that wait for a slot, and those that have one.

    Args:
        packed: only neighbouring slots are evaluated in one pass, so gaps should be filled.
        grid: if set, chunks end at multiples of it in all cases.
        drafter: drafts what follows the last tokens of a few replies.
        slot_size: tokens that a slot can hold.
        batch_size: the most tokens of one step.
    """

    def __init__(
        self,
        *,
        packed: bool,
        grid: int | None = None,
        drafter: Drafter | None = None,
        slot_size: int = 0,
        batch_size: int = 0,
    ) -> None:
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.is_full = False
        """Whether a reply was preempted: until another one ends, no sequence gets a slot."""
        self._packed = packed
        self._grid = grid
        self._drafter = drafter
        self._slot_size, self._batch_size = slot_size, batch_size

    @property
    def alone(self) -> Sequence | None:
        """The running sequence that must be evaluated alone, if there is one."""
        return next((sequence for sequence in self.running if sequence.is_alone), None)

    @property
    def active(self) -> list[Sequence]:
        """The sequences to evaluate; the others keep their slots meanwhile."""
        alone = self.alone
        return [alone] if alone is not None else self.running

    @property
    def candidates(self) -> list[Sequence]:
        """Waiting sequences that may get a slot, in order."""
        if self.alone is not None:
            return []
        alone = [sequence for sequence in self.waiting if sequence.is_alone]
        return alone[:1] or list(self.waiting)

    @property
    def is_decoding(self) -> bool:
        """Whether the evaluation of a prompt would delay a reply."""
        return any(sequence.num_remaining == 1 for sequence in self.active)

    def preempt(self, sequence: Sequence) -> None:
        """Stop running a sequence; it is the first to continue once there is room again."""
        self.running.remove(sequence)
        self.waiting.appendleft(sequence)
        self.is_full = True

    def stop_drafting(self) -> None:
        """Evaluate nothing any more that is only likely."""
        self._drafter = None

    def schedule(self, budget: int) -> Schedule:
        """The next step, with at most `budget` tokens of prompts."""
        decodes, prompts = [], []
        for sequence in self.active:
            remaining = sequence.num_remaining
            if remaining == 1:
                decodes.append(Chunk(sequence, 1))
            elif remaining > 1:
                prompts.append(sequence)
        prefills = self._prefills(prompts, budget)
        if prompts and self._packed and self._grid is None:
            decodes += self._between(decodes, prompts)
        # A prompt waits for the replies' steps, which drafts make longer.
        if self._drafter is not None and not prompts and 0 < len(decodes) <= MOST_SPECULATING:
            decodes = self._drafted(decodes, self._drafter)
        # Only neighbouring slots are evaluated in one pass.
        return Schedule(sorted(decodes, key=_slot_index), prefills)

    def _drafted(self, decodes: list[Chunk], drafter: Drafter) -> list[Chunk]:
        """Decodes with equally many drafts each: unequal ones take llama.cpp several passes."""
        most = min(self._most_drafted(chunk.sequence) for chunk in decodes)
        most = min(most, self._batch_size // len(decodes) - 1)
        if most <= 0:
            return decodes
        drafts = drafter.drafts_for([chunk.sequence for chunk in decodes], most)
        size = min(most, *map(len, drafts))
        return [
            replace(chunk, drafts=tuple(draft[:size]))
            for chunk, draft in zip(decodes, drafts, strict=True)
        ]

    def _most_drafted(self, sequence: Sequence) -> int:
        """Drafts that could all become part of a reply: a token more is drawn behind the last."""
        if sequence.is_background:
            return 0
        return min(sequence.num_wanted, self._slot_size - len(sequence.token_ids)) - 1

    def _prefills(self, prompts: list[Sequence], budget: int) -> list[Chunk]:
        chosen: list[Chunk] = []
        for sequence in sorted(prompts, key=_urgency):
            wanted = self._chunk(sequence)
            size = min(wanted, budget)
            least = wanted if self._grid is not None else min(wanted, _MIN_CHUNK)
            if size <= 0 or (chosen and size < least):
                sequence.num_waits += 1
                continue
            chosen.append(Chunk(sequence, size))
            sequence.num_waits = 0
            budget -= size
        return chosen

    def _chunk(self, sequence: Sequence) -> int:
        wanted = sequence.num_until_border
        if self._grid is not None:
            wanted = min(wanted, self._grid - sequence.num_computed % self._grid)
        return wanted

    def _between(self, decodes: list[Chunk], prompts: list[Sequence]) -> list[Chunk]:
        """One token of each prompt whose slot lies between decodes: a gap costs a whole pass."""
        indexes = [_slot_index(chunk) for chunk in decodes]
        if not indexes:
            return []
        low, high = min(indexes), max(indexes)
        return [
            Chunk(sequence, 1)
            for sequence in prompts
            if sequence.num_remaining > 2
            and sequence.slot is not None
            and low < sequence.slot.index < high
        ]


def _slot_index(chunk: Chunk) -> int:
    return chunk.sequence.slot.index if chunk.sequence.slot is not None else -1


def _urgency(sequence: Sequence) -> int:
    return sequence.num_until_border - AGEING * sequence.num_waits
