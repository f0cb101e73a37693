"""Who drafts what may come next in replies, before the model has evaluated it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol

from worker.engine.draft_costs import SIZES
from worker.engine.lookup import Draft
from worker.engine.sequence import Sequence as Generation
from worker.engine.speculation import Speculation

MOST_DRAFTED: Final = SIZES[-1]
"""Tokens of a reply in one step."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DecodedStep:
    """What came of a step that drew tokens.

    Args:
        num_drafted: tokens of each reply, besides its last one.
        accepted: for each reply, how many of these were drawn.
        seconds: that the evaluation took.
    """

    num_drafted: int
    accepted: tuple[int, ...]
    seconds: float


class Drafter(Protocol):
    """Guesses the next tokens of replies; what is drawn never depends on it."""

    def drafts_for(self, replies: Sequence[Generation], most: int) -> list[tuple[int, ...]]:
        """The tokens that may come next in each reply, at most so many.

        A step's replies get equally many: the rest of a longer draft is not used.
        """
        ...

    def record(self, step: DecodedStep) -> None:
        """Learn from a step, which had the drafts of the last call or none."""
        ...


class LookupDrafter:
    """Looks the newest tokens up in the conversation itself.

    Args:
        is_end: whether a token ends a reply; nothing is drafted from there on.
        speculation: decides how many tokens are worth it.
    """

    def __init__(self, is_end: Callable[[int], bool], speculation: Speculation) -> None:
        self._is_end = is_end
        self._speculation = speculation
        self._matches: list[int] = []

    def drafts_for(self, replies: Sequence[Generation], most: int) -> list[tuple[int, ...]]:
        none: list[tuple[int, ...]] = [()] * len(replies)
        drafts = [
            draft
            for reply in replies
            if (draft := reply.lookup.find(reply.token_ids, min(most, MOST_DRAFTED))) is not None
        ]
        if len(drafts) < len(replies):
            return none
        texts = [self._before_end(draft) for draft in drafts]
        self._matches = [draft.matched for draft in drafts]
        size = self._speculation.size(self._matches, min(map(len, texts)))
        return [text[:size] for text in texts]

    def record(self, step: DecodedStep) -> None:
        if step.num_drafted:
            self._speculation.record_drafts(
                self._matches, step.num_drafted, step.accepted, step.seconds
            )
        else:
            self._speculation.record_plain(len(step.accepted), step.seconds)

    def _before_end(self, draft: Draft) -> tuple[int, ...]:
        return tuple(takewhile(lambda token: not self._is_end(token), draft.token_ids))
