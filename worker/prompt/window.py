"""FIFO trimming by whole turns: which messages of a conversation the model sees.

Pure functions over numbers; a callable measures the prompt, exactly and for any chat template.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.errors import ContextLengthExceeded
from shared.wire.messages import StoredMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How one turn shares its window between prompt and reply, in tokens.

    Args:
        window: prompt and reply together.
        max_tokens: the longest reply requested.
        trim_to: share of the window that a prompt that must be trimmed is trimmed to.
    """

    window: int
    max_tokens: int
    trim_to: float

    @property
    def reserve(self) -> int:
        """Room kept for the reply: the length requested, at most a quarter of the window."""
        return min(self.max_tokens, max(1, self.window // 4))

    @property
    def prompt_limit(self) -> int:
        """The longest prompt that leaves this room."""
        return self.window - self.reserve

    @property
    def trim_target(self) -> int:
        """The length that trimming aims at: below the limit, which makes trimming rare."""
        return min(self.prompt_limit, math.floor(self.window * self.trim_to))

    def reply_limit(self, prompt_tokens: int) -> int:
        """The longest reply after a prompt of this length."""
        return min(self.max_tokens, self.window - prompt_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPolicy:
    """What all turns of a worker have in common; `max_tokens` is for requests that set no limit."""

    window: int
    trim_to: float
    max_tokens: int

    def budget(self, max_tokens: int | None) -> Budget:
        """The budget of a turn that requests a reply of at most `max_tokens`."""
        return Budget(
            window=self.window, max_tokens=max_tokens or self.max_tokens, trim_to=self.trim_to
        )


def split_turns(messages: Sequence[StoredMessage]) -> list[tuple[StoredMessage, ...]]:
    """Group messages into turns: everything up to a reply, and the reply.

    An edit can leave two user messages in a row; they belong to one turn, as do instructions in
    front of them.
    """
    turns: list[list[StoredMessage]] = []
    for message in messages:
        if not turns or (message.role != "assistant" and turns[-1][-1].role == "assistant"):
            turns.append([])
        turns[-1].append(message)
    return [tuple(turn) for turn in turns]


def trim(num_turns: int, measure: Callable[[int], int], budget: Budget) -> int:
    """How many of the oldest turns to leave out.

    None as long as all fit; otherwise enough to bring the prompt down to `budget.trim_target`. What
    remains then stays the same for many turns (hysteresis). A prompt that is above the target even
    without earlier turns is accepted up to the limit.

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
