"""FIFO trimming by whole turns: which messages of a conversation the model sees.

Pure functions over numbers; the prompt's size is asked for through a callable, so that any chat
template counts exactly.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.errors import ContextLengthExceeded
from shared.wire.messages import StoredMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How a window is shared out, in tokens.

    Args:
        window: prompt and reply together.
        max_tokens: the longest reply asked for.
        trim_to: share of the window that the prompt is trimmed to, once it must be.
    """

    window: int
    max_tokens: int
    trim_to: float

    @property
    def reserve(self) -> int:
        """Room kept for the reply: what was asked for, at most a quarter of the window."""
        return min(self.max_tokens, max(1, self.window // 4))

    @property
    def prompt_limit(self) -> int:
        """The longest prompt that leaves this room."""
        return self.window - self.reserve

    @property
    def trim_target(self) -> int:
        """The length that trimming aims at: below the limit, so that it is seldom needed."""
        return min(self.prompt_limit, math.floor(self.window * self.trim_to))

    def reply_limit(self, prompt_tokens: int) -> int:
        """The longest reply behind a prompt of this length."""
        return min(self.max_tokens, self.window - prompt_tokens)


def split_turns(messages: Sequence[StoredMessage]) -> list[tuple[StoredMessage, ...]]:
    """Group messages into turns: what a user wrote up to a reply, and the reply.

    An edit can leave two messages of the user in a row; they belong to one turn, as do instructions
    in front of them.
    """
    turns: list[list[StoredMessage]] = []
    for message in messages:
        if not turns or (message.role != "assistant" and turns[-1][-1].role == "assistant"):
            turns.append([])
        turns[-1].append(message)
    return [tuple(turn) for turn in turns]


def trim(num_turns: int, measure: Callable[[int], int], budget: Budget) -> int:
    """How many of the oldest turns to leave out.

    None as long as all fit; otherwise as many as bring the prompt down to `budget.trim_target`, so
    that what follows stays the same for many turns (hysteresis). If even the prompt alone is above
    the target, it still goes as long as it is within the limit.

    Args:
        num_turns: earlier turns in view.
        measure: tokens of the whole prompt when so many of the oldest turns are left out.

    Raises:
        ContextLengthExceeded: the prompt does not fit without any earlier turn.
    """
    if measure(0) <= budget.prompt_limit:
        return 0
    low, high = 1, num_turns
    while low < high:
        middle = (low + high) // 2
        if measure(middle) <= budget.trim_target:
            high = middle
        else:
            low = middle + 1
    dropped = min(low, num_turns)
    while measure(dropped) > budget.prompt_limit:
        if dropped == num_turns:
            raise ContextLengthExceeded(measure(num_turns), budget.window)
        dropped += 1
    return dropped
