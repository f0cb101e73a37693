"""What an owner has used of a model on one day."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

_EPOCH = datetime.date(1970, 1, 1)
UNNAMED = "-"
"""The owner of what was used by more owners and models than are counted by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """Turns that completed, and tokens.

    Args:
        owner_id: `UNNAMED` for all others together.
        model_name: empty for turns of versions before several models.
        prompt_tokens: of completed turns, cached ones included.
        cached_tokens: those of them that were in a cache.
        unfinished_tokens: evaluated and generated for turns that failed or were cancelled.
    """

    owner_id: str
    model_name: str
    turns: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    unfinished_tokens: int = 0

    def plus(self, other: "UsageRow") -> "UsageRow":
        """What the same owner has used of the same model in two places."""
        sums = {name: getattr(self, name) + getattr(other, name) for name in _NUMBERS}
        return replace(self, **sums)


_NUMBERS = ("turns", "prompt_tokens", "cached_tokens", "completion_tokens", "unfinished_tokens")
"""In the order in which they are stored (`lua/lib/usage.lua`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOfUsage:
    """One day, UTC."""

    day: datetime.date
    rows: Sequence[UsageRow] = field(default=())

    @classmethod
    def decode(cls, day: int, stored: Sequence[str]) -> "DayOfUsage":
        """From a script's answer (`lua/usage.lua`); numbers of later versions are ignored."""
        rows = [_row(*pair) for pair in zip(stored[::2], stored[1::2], strict=True)]
        ordered = sorted(rows, key=lambda row: (row.owner_id, row.model_name))
        return cls(day=_EPOCH + datetime.timedelta(days=day), rows=ordered)


def _row(whose: str, numbers: str) -> UsageRow:
    owner_id, model_name = whose.split(" ", 1)
    counts = dict(zip(_NUMBERS, map(int, numbers.split(" ")), strict=False))
    return UsageRow(owner_id=owner_id, model_name=model_name, **counts)
