"""The window of a conversation's next turn, where it is not this one's with the reply behind it."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from shared.errors import ContextLengthExceeded
from shared.wire.summary import Summary
from worker.engine.interface import UnusableRequest
from worker.engine.prefixes import common_prefix
from worker.prompt.layout import Layout
from worker.prompt.message import PromptMessage
from worker.prompt.prompt import Prompt
from worker.prompt.summaries import headed
from worker.prompt.window import Budget, trim
from worker.prompt.writer import PromptWriter

_ANY: Final = 0
_OTHER: Final = 1
"""Token ids that stand in for a prompt that is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextWindow:
    """The window of the next turn: the number of its first message and its first token ids."""

    offset: int
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """A turn with its reply, as the next turn will see it: what can be told of its window.

    Args:
        reply: as the next turn will see it.
        num_tokens: of the reply as it was generated.
    """

    writer: PromptWriter
    prompt: Prompt
    reply: PromptMessage
    num_tokens: int
    budget: Budget

    def window(self) -> NextWindow | None:
        """The next turn's window, if that does not go on behind what is evaluated.

        Either it has to be trimmed, or this prompt and its reply are cached behind quotes that no
        other prompt has. Assumes that the next prompt is as long as the average of those in view.
        """
        if is_foreseen(self.prompt, self.num_tokens, self.budget):
            return None
        return self._window(self.prompt.summary, must_differ=not self.prompt.quotes)

    def window_with(self, summary: Summary) -> NextWindow | None:
        """The next turn's window once there is another summary of what is before it."""
        return self._window(summary if summary.text.strip() else None, must_differ=False)

    def _window(self, summary: Summary | None, *, must_differ: bool) -> NextWindow | None:
        """None if it cannot be told, or if no turn is left out and it `must_differ`."""
        layout = Layout(pinned=self.prompt.pinned, turns=self.prompt.answered(self.reply))

        def encoded(dropped: int, new: tuple[int, ...], summary: Summary | None) -> tuple[int, ...]:
            contents = headed(layout.contents_without(dropped), summary)
            prompt = replace(PromptMessage.says("user", "?"), token_ids=new)
            messages = [*self.prompt.system, *contents, prompt]
            return self.writer.encode(messages, self.prompt.options).token_ids

        expected = (_ANY,) * self._usual_length(layout)

        @cache
        def measured(dropped: int) -> int:
            # The summary has room of its own.
            return len(encoded(dropped, expected, None))

        try:
            dropped = trim(len(layout.turns), measured, self.budget)
        except (ContextLengthExceeded, UnusableRequest):
            return None
        if dropped == 0 and must_differ:
            return None
        kept = layout.turns[dropped:]
        # What two different prompts have in common is what any prompt begins with.
        first, second = (encoded(dropped, (token,), summary) for token in (_ANY, _OTHER))
        offset = kept[0].number if kept else self.prompt.number + 2
        return NextWindow(offset=offset, token_ids=tuple(first[: common_prefix(first, second)]))

    def _usual_length(self, layout: Layout) -> int:
        """Tokens of what users say in the turns in view, on average."""
        lengths = [
            len(self.writer.tokenize(one.message.content))
            for turn in layout.turns
            for one in turn.contents
            if one.role == "user"
        ]
        return sum(lengths) // max(1, len(lengths))


def is_foreseen(prompt: Prompt, num_tokens: int, budget: Budget) -> bool:
    """Whether the next turn's prompt surely goes on behind this one: told without writing it.

    The next prompt may be as long as this whole one, markup included.

    Args:
        num_tokens: of the reply.
    """
    return not prompt.quotes and 2 * len(prompt.token_ids) + num_tokens <= budget.untrimmed_limit
