"""FIFO trimming by whole turns: which messages of a conversation the model sees.

Pure functions over numbers; a callable measures the prompt, exactly and for any chat template.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shared.errors import ContextLengthExceeded
from shared.wire.memory import MemoryMode
from shared.wire.messages import StoredMessage
from shared.wire.turn_request import Thinking


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How one turn shares its window between prompt and reply, in tokens.

    Args:
        window: prompt and reply together.
        max_tokens: the longest reply requested.
        trim_to: share of the window that a prompt that must be trimmed is trimmed to.
        longest_thought: after which the model has to answer; 0 if it does not think.
        counts_thoughts: whether `max_tokens` includes them.
        quotes: room that windows leave for quotes of earlier messages; 0 if there are none.
        summary: room that they leave for a summary of these; 0 if there is none.
    """

    window: int
    max_tokens: int
    trim_to: float
    longest_thought: int = 0
    counts_thoughts: bool = True
    quotes: int = 0
    summary: int = 0

    @property
    def longest_reply(self) -> int:
        """Thoughts and all else."""
        return self.max_tokens + (0 if self.counts_thoughts else self.longest_thought)

    @property
    def reserve(self) -> int:
        """Room kept for the reply: the length requested, at most a quarter of the window."""
        return min(self.longest_reply, max(1, self.window // 4))

    @property
    def prompt_limit(self) -> int:
        """The longest prompt that leaves this room."""
        return self.window - self.reserve

    @property
    def untrimmed_limit(self) -> int:
        """The longest prompt of which no turn is left out, before anything is added of them."""
        return self.prompt_limit - self.quotes - self.summary

    @property
    def trim_target(self) -> int:
        """The length that trimming aims at: below the limit, which makes trimming rare."""
        return min(self.untrimmed_limit, math.floor(self.window * self.trim_to))

    def reply_limit(self, prompt_tokens: int) -> int:
        """The longest reply after a prompt of this length."""
        return min(self.longest_reply, self.window - prompt_tokens)

    @property
    def answer_limit(self) -> int | None:
        """The longest reply apart from its thoughts, where these have a limit of their own."""
        return None if self.counts_thoughts else self.max_tokens

    def reasoning_limit(self, prompt_tokens: int) -> int | None:
        """The longest thought after a prompt of this length: it leaves room for an answer."""
        if not self.longest_thought:
            return None
        return max(1, min(self.longest_thought, (self.window - prompt_tokens) // 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowPolicy:
    """What all turns of a worker have in common.

    Args:
        max_tokens: the longest reply, thoughts apart, to requests that set no limit.
        longest_thought: in tokens, of turns that do not say so; 0 if the model does not think.
        thinking: how much the model thinks in turns that do not say so.
        memory: what becomes of turns that leave the window, where nobody has said so.
        quotes: tokens of a prompt that may be quotes of messages that have left the window.
        summary: tokens of a prompt that may be a summary of these.
    """

    window: int
    trim_to: float
    max_tokens: int
    longest_thought: int = 0
    thinking: Thinking = "auto"
    memory: MemoryMode = "fifo"
    quotes: int = 0
    summary: int = 0

    def budget(
        self,
        max_tokens: int | None,
        *,
        thinks: bool = False,
        longest_thought: int | None = None,
        recalls: bool = False,
        summarises: bool = False,
    ) -> Budget:
        """The budget of a turn.

        Args:
            max_tokens: the longest reply that it requests, thoughts included.
            thinks: whether the model may think in it.
            longest_thought: that it requests, in tokens.
            recalls: whether messages that have left the window may be quoted.
            summarises: whether a summary of them may be shown.
        """
        budget = Budget(
            window=self.window,
            max_tokens=max_tokens or self.max_tokens,
            trim_to=self.trim_to,
            longest_thought=(longest_thought or self.longest_thought) if thinks else 0,
            counts_thoughts=not thinks or max_tokens is not None,
        )
        return replace(
            budget,
            quotes=min(self.quotes, budget.prompt_limit // 2) if recalls else 0,
            summary=min(self.summary, budget.prompt_limit // 4) if summarises else 0,
        )


def split_turns(messages: Sequence[StoredMessage]) -> list[tuple[StoredMessage, ...]]:
    """Group messages into turns: everything up to a reply, and the reply.

    An edit can leave two user messages in a row; they belong to one turn, as do instructions in
    front of them. So do a call of a tool, its result and what the model makes of it.
    """
    turns: list[list[StoredMessage]] = []
    for message in messages:
        is_reply = bool(turns) and turns[-1][-1].role == "assistant"
        if not turns or (is_reply and message.role in ("system", "user")):
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
    if measure(0) <= budget.untrimmed_limit:
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
