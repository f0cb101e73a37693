"""The window of a conversation's next turn, if it has to be trimmed."""

from dataclasses import dataclass
from functools import cache
from typing import Final

from shared.errors import ContextLengthExceeded
from worker.engine.interface import Engine, PromptMessage, UnusableRequest
from worker.engine.prefixes import common_prefix
from worker.prompt.prompt import Prompt
from worker.prompt.render import render
from worker.prompt.window import Budget, trim

_ANY: Final = 0
_OTHER: Final = 1
"""Token ids that stand in for a prompt that is not known yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NextWindow:
    """The window of the next turn: the number of its first message and its first token ids."""

    offset: int
    token_ids: tuple[int, ...]


def next_window(
    engine: Engine, prompt: Prompt, reply: tuple[int, ...], budget: Budget
) -> NextWindow | None:
    """The next turn's window if it has to be trimmed, so that it can be evaluated ahead of time.

    Assumes that the next prompt is as long as the average of those in view.

    Args:
        reply: token ids of the reply's content, as the next turn will see it.
    """
    turns = prompt.answered(reply)
    lengths = [len(m.token_ids) for turn in turns for m in turn.contents if m.role == "user"]
    expected = PromptMessage("user", (_ANY,) * (sum(lengths) // len(lengths)))

    @cache
    def measured(dropped: int) -> int:
        return len(render(engine, prompt.system, turns[dropped:], expected))

    try:
        dropped = trim(len(turns), measured, budget)
    except (ContextLengthExceeded, UnusableRequest):
        return None
    if dropped == 0:
        return None
    kept = turns[dropped:]
    # What two different prompts have in common is what any prompt begins with.
    first, second = (
        render(engine, prompt.system, kept, PromptMessage("user", (token,)))
        for token in (_ANY, _OTHER)
    )
    offset = kept[0].number if kept else prompt.number + 2
    return NextWindow(offset=offset, token_ids=tuple(first[: common_prefix(first, second)]))
