"""Drafters for tests: they know what will be drawn, and are wrong now and then."""

import random
from collections.abc import Callable, Sequence

from tests.unit.engine.scripted_backend import next_token
from worker.engine.drafter import DecodedStep
from worker.engine.sequence import Sequence as Generation

Foresight = Callable[[str, list[int]], int]
"""The token behind these tokens, in a session."""


class Guesser:
    """Drafts what will be drawn, and from a random place on something else.

    Args:
        right: how likely it is that a draft is right once more.
        size: tokens of the longest drafts.
    """

    def __init__(
        self,
        right: float = 0.7,
        size: int = 5,
        foresee: Foresight = lambda session, content: next_token(content),
    ) -> None:
        self._random = random.Random(1)
        self._right, self._size = right, size
        self._foresee = foresee
        self.steps: list[DecodedStep] = []

    def drafts_for(self, replies: Sequence[Generation], most: int) -> list[tuple[int, ...]]:
        return [self._draft(reply.request.session, reply.token_ids) for reply in replies]

    def _draft(self, session: str, token_ids: list[int]) -> tuple[int, ...]:
        content = list(token_ids)
        for _ in range(self._random.randint(0, self._size)):
            is_right = self._random.random() < self._right
            wrong = self._random.randint(1, 96)
            content.append(self._foresee(session, content) if is_right else wrong)
        return tuple(content[len(token_ids) :])

    def record(self, step: DecodedStep) -> None:
        self.steps.append(step)
