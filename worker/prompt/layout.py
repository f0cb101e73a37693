"""Which turns a prompt shows: the newest ones, and those that are pinned."""

from dataclasses import dataclass, replace

from worker.prompt.message import PromptMessage
from worker.prompt.prompt import PromptTurn


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What is shown if some of the oldest turns are left out.

    Args:
        pinned: turns before the window that stay in view.
        turns: of the window; what is pinned of those that are left out stays in view, too.
    """

    pinned: tuple[PromptTurn, ...]
    turns: tuple[PromptTurn, ...]

    def pinned_without(self, dropped: int) -> tuple[PromptTurn, ...]:
        """Those that stay in view when so many turns are left out."""
        return (*self.pinned, *(turn for turn in self.turns[:dropped] if turn.pins))

    def contents_without(self, dropped: int) -> list[PromptMessage]:
        """All messages that are shown when so many turns are left out."""
        turns = (*self.pinned_without(dropped), *self.turns[dropped:])
        return [message for turn in turns for message in turn.contents]

    @property
    def has_pins(self) -> bool:
        return bool(self.pinned_without(len(self.turns)))

    @property
    def unpinned(self) -> "Layout":
        """The same as if nothing were pinned."""
        return Layout(pinned=(), turns=tuple(replace(turn, pins=()) for turn in self.turns))
