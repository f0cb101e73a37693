"""Drafters for tests: one that knows what is drawn, up to a point, and one that never waits."""

import random
from collections.abc import Sequence

from tests.unit.engine.scripted_backend import next_token
from worker.engine.drafter import DecodedStep
from worker.engine.sequence import Sequence as Generation


class Guesser:
    """Drafts what will be drawn, and from a random place on something else.

    Args:
        right: the likelihood that a draft goes on being right.
    """

    def __init__(self, seed: int = 1, right: float = 0.7, size: int = 5) -> None:
        self._random = random.Random(seed)
        self._right, self._size = right, size
        self.steps: list[DecodedStep] = []

    def drafts_for(self, replies: Sequence[Generation], most: int) -> list[tuple[int, ...]]:
        return [self._draft(reply.token_ids) for reply in replies]

    def _draft(self, token_ids: list[int]) -> tuple[int, ...]:
        content = list(token_ids)
        for _ in range(self._random.randint(0, self._size)):
            is_right = self._random.random() < self._right
            content.append(next_token(content) if is_right else self._random.randint(0, 96))
        return tuple(content[len(token_ids) :])

    def record(self, step: DecodedStep) -> None:
        self.steps.append(step)
