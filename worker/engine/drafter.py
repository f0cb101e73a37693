"""Who drafts what may come next in replies, before the model has evaluated it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, Protocol

from worker.engine.acceptance import Acceptance
from worker.engine.draft_costs import SIZES
from worker.engine.lookup import MATCHES, Agreement, Draft, Evidence
from worker.engine.sequence import Sequence as Generation
from worker.engine.speculation import Speculation

MOST_DRAFTED: Final = SIZES[-1]
"""Tokens of a reply in one step."""
_FIRST_ACCEPTANCE: Final = {
    Evidence(matched, agreement): chance
    for matched, chances in zip(
        MATCHES,
        (
            (0.90, 0.95, 0.40),
            (0.78, 0.93, 0.35),
            (0.67, 0.90, 0.27),
            (0.55, 0.85, 0.25),
            (0.46, 0.78, 0.22),
            (0.27, 0.62, 0.15),
        ),
        strict=True,
    )
    for agreement, chance in zip(Agreement, chances, strict=True)
}
"""Measured in 76 files of code, as they go on behind their first 1,200 tokens."""


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


class Unseeded:
    """Drafts nothing beside a reply with a seed.

    Who sets one wants the same reply again, and what is evaluated together decides how it is
    rounded.
    """

    def __init__(self, drafter: Drafter) -> None:
        self._drafter = drafter

    def drafts_for(self, replies: Sequence[Generation], most: int) -> list[tuple[int, ...]]:
        if any(reply.request.sampling.seed is not None for reply in replies):
            return [()] * len(replies)
        return self._drafter.drafts_for(replies, most)

    def record(self, step: DecodedStep) -> None:
        self._drafter.record(step)


class LookupDrafter:
    """Looks the newest tokens up in the conversation itself.

    What it finds is compared with what is written whether it was used or not, so that looking costs
    nothing but microseconds, and drafts are used as soon as they begin to be right.

    Args:
        is_end: whether a token ends a reply; nothing is drafted from there on.
        speculation: decides how many tokens are worth it.
    """

    def __init__(self, is_end: Callable[[int], bool], speculation: Speculation) -> None:
        self._is_end = is_end
        self._speculation = speculation
        self._acceptance = Acceptance(_FIRST_ACCEPTANCE)

    def drafts_for(self, replies: Sequence[Generation], most: int) -> list[tuple[int, ...]]:
        found = [self._found(reply) for reply in replies]
        if not any(found):
            return [()] * len(replies)
        chances = [self._acceptance.chances(each.evidence if each else ()) for each in found]
        size = self._speculation.size(chances, min(most, MOST_DRAFTED))
        return [
            _filled(each.token_ids if each else (), size, reply.token_ids[-1])
            for each, reply in zip(found, replies, strict=True)
        ]

    def record(self, step: DecodedStep) -> None:
        if step.num_drafted:
            self._speculation.record_drafts(step.num_drafted, step.accepted, step.seconds)
        else:
            self._speculation.record_plain(len(step.accepted), step.seconds)

    def _found(self, reply: Generation) -> Draft | None:
        for outcome in reply.lookup.outcomes(reply.token_ids):
            if self._is_end(outcome.token):
                break  # neither it nor what follows was drafted
            self._acceptance.learn(outcome.evidence, was_right=outcome.was_right)
        draft = reply.lookup.find(reply.token_ids, MOST_DRAFTED)
        return None if draft is None else self._before_end(draft)

    def _before_end(self, draft: Draft) -> Draft | None:
        token_ids = tuple(takewhile(lambda token: not self._is_end(token), draft.token_ids))
        if not token_ids:
            return None
        return Draft(token_ids=token_ids, evidence=draft.evidence[: len(token_ids)])


def _filled(token_ids: tuple[int, ...], size: int, padding: int) -> tuple[int, ...]:
    """Exactly `size` tokens: a reply without drafts of its own must not keep the other from its."""
    return (token_ids + (padding,) * size)[:size]
