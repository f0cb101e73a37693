"""The window of a conversation's next turn, where it is not this one's with the reply behind it."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from shared.errors import ContextLengthExceeded
from worker.engine.interface import UnusableRequest
from worker.engine.prefixes import common_prefix
from worker.prompt.layout import Layout
from worker.prompt.message import PromptMessage
from worker.prompt.prompt import Prompt
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


def next_window(
    writer: PromptWriter, prompt: Prompt, reply: PromptMessage, num_tokens: int, budget: Budget
) -> NextWindow | None:
    """The next turn's window if it has to be trimmed, so that it can be evaluated ahead of time.

    Also if it is not: this prompt and its reply are cached behind quotes that no other prompt has.

    Assumes that the next prompt is as long as the average of those in view.

    Args:
        reply: as the next turn will see it.
        num_tokens: of the reply as it was generated.
    """
    if is_foreseen(prompt, num_tokens, budget):
        return None
    layout = Layout(pinned=prompt.pinned, turns=prompt.answered(reply))
    turns = layout.turns

    def encoded(dropped: int, expected: tuple[int, ...]) -> tuple[int, ...]:
        contents = layout.contents_without(dropped)
        new = replace(PromptMessage.says("user", "?"), token_ids=expected)
        return writer.encode([*prompt.system, *contents, new], prompt.options).token_ids

    lengths = [
        len(writer.tokenize(one.message.content))
        for turn in turns
        for one in turn.contents
        if one.role == "user"
    ]
    average = sum(lengths) // max(1, len(lengths))

    @cache
    def measured(dropped: int) -> int:
        return len(encoded(dropped, (_ANY,) * average))

    try:
        dropped = trim(len(turns), measured, budget)
    except (ContextLengthExceeded, UnusableRequest):
        return None
    if dropped == 0 and not prompt.quotes:
        return None
    kept = turns[dropped:]
    # What two different prompts have in common is what any prompt begins with.
    first, second = (encoded(dropped, (token,)) for token in (_ANY, _OTHER))
    offset = kept[0].number if kept else prompt.number + 2
    return NextWindow(offset=offset, token_ids=tuple(first[: common_prefix(first, second)]))


def is_foreseen(prompt: Prompt, num_tokens: int, budget: Budget) -> bool:
    """Whether the next turn's prompt surely goes on behind this one: told without writing it.

    The next prompt may be as long as this whole one, markup included.

    Args:
        num_tokens: of the reply.
    """
    return not prompt.quotes and 2 * len(prompt.token_ids) + num_tokens <= budget.untrimmed_limit
