"""Who is evaluated in the next step: decodes, then prompts, the shortest first, with ageing."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from worker.engine.backend import Part
from worker.engine.sequence import Sequence

AGEING: Final = 16
"""Tokens by which a waiting prompt counts as shorter for each step that it waited."""

_SMALLEST: Final = 16
"""Tokens for which a pass over the weights is worth while beside others."""


@dataclass(frozen=True, slots=True)
class Work:
    """So many tokens of a sequence."""

    sequence: Sequence
    num_tokens: int

    def part(self) -> Part:
        """What its slot does in a step."""
        sequence, start = self.sequence, self.sequence.num_computed
        assert sequence.slot is not None, "it runs"
        size = self.num_tokens
        if size > 1:
            size = min(size, sequence.num_until_border)
        token_ids = sequence.token_ids[start : start + size]
        is_last = start + size == len(sequence.token_ids)
        return Part(sequence.slot.index, start, token_ids, is_last and not sequence.is_background)


@dataclass(frozen=True, slots=True)
class Step:
    """What is evaluated together: decodes in one pass, then each prompt's chunk in its own."""

    decodes: list[Work]
    prefills: list[Work]

    @property
    def passes(self) -> list[list[Work]]:
        """The calls of this step, in order."""
        return [works for works in (self.decodes, *([work] for work in self.prefills)) if works]


class Scheduler:
    """The sequences that wait for a slot, and those that have one.

    Args:
        packed: neighbours in slots are evaluated in one pass, so that gaps should be filled.
        grid: if set, chunks end at multiples of it, whatever else happens.
    """

    def __init__(self, *, packed: bool, grid: int | None = None) -> None:
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self.is_full = False
        """Whether a reply had to give its slot back: until another one ends, nobody gets one."""
        self._packed = packed
        self._grid = grid

    @property
    def alone(self) -> Sequence | None:
        """The sequence that must not have company, if one runs."""
        return next((one for one in self.running if one.is_alone), None)

    @property
    def active(self) -> list[Sequence]:
        """Those that are evaluated; the others keep their slots meanwhile."""
        alone = self.alone
        return [alone] if alone is not None else self.running

    @property
    def candidates(self) -> list[Sequence]:
        """Those that may be given a slot, in order."""
        if self.alone is not None:
            return []
        return [one for one in self.waiting if one.is_alone][:1] or list(self.waiting)

    @property
    def is_decoding(self) -> bool:
        """Whether a prompt's evaluation keeps a reply waiting."""
        return any(one.num_remaining == 1 for one in self.active)

    def put_back(self, sequence: Sequence) -> None:
        """It was preempted: first in the queue, once there is room again."""
        self.waiting.appendleft(sequence)
        self.is_full = True

    def plan(self, budget: int) -> Step:
        """The next step, with at most `budget` tokens of prompts."""
        decodes, prompts = [], []
        for one in self.active:
            remaining = one.num_remaining
            if remaining == 1:
                decodes.append(Work(one, 1))
            elif remaining > 1:
                prompts.append(one)
        prefills = self._prefills(prompts, budget)
        if prompts and self._packed and self._grid is None:
            decodes += self._between(decodes, prompts)
        # Only slots that follow each other are evaluated in one pass.
        return Step(sorted(decodes, key=_slot_index), prefills)

    def _prefills(self, prompts: list[Sequence], budget: int) -> list[Work]:
        chosen: list[Work] = []
        for one in sorted(prompts, key=_urgency):
            wanted = self._chunk(one)
            size = min(wanted, budget)
            least = wanted if self._grid is not None else min(wanted, _SMALLEST)
            if size <= 0 or (chosen and size < least):
                one.num_waits += 1
                continue
            chosen.append(Work(one, size))
            one.num_waits = 0
            budget -= size
        return chosen

    def _chunk(self, sequence: Sequence) -> int:
        wanted = sequence.num_until_border
        if self._grid is not None:
            wanted = min(wanted, self._grid - sequence.num_computed % self._grid)
        return wanted

    def _between(self, decodes: list[Work], prompts: list[Sequence]) -> list[Work]:
        """One token of each prompt that lies between decodes: a gap would cost a whole pass."""
        indexes = [_slot_index(work) for work in decodes]
        if not indexes:
            return []
        low, high = min(indexes), max(indexes)
        return [
            Work(one, 1)
            for one in prompts
            if one.num_remaining > 2 and one.slot is not None and low < one.slot.index < high
        ]


def _slot_index(work: Work) -> int:
    return work.sequence.slot.index if work.sequence.slot is not None else -1


def _urgency(sequence: Sequence) -> int:
    return sequence.num_until_border - AGEING * sequence.num_waits
