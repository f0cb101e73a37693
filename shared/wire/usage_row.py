"""What an owner has used of a model on one day."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, field

_EPOCH = datetime.date(1970, 1, 1)
UNNAMED = "-"
"""The owner of what was used by more owners and models than are counted by name."""


@dataclass(slots=True, kw_only=True)
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


_FIELDS = {
    "turns": "turns",
    "in": "prompt_tokens",
    "cached": "cached_tokens",
    "out": "completion_tokens",
    "unfinished": "unfinished_tokens",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DayOfUsage:
    """One day, UTC."""

    day: datetime.date
    rows: Sequence[UsageRow] = field(default=())

    @classmethod
    def decode(cls, day: int, counters: Sequence[str]) -> "DayOfUsage":
        """From a script's answer (`lua/usage.lua`); counters of later versions are ignored."""
        rows: dict[tuple[str, str], UsageRow] = {}
        for name, value in zip(counters[::2], counters[1::2], strict=True):
            counter, owner, model = name.split(" ", 2)
            row = rows.setdefault((owner, model), UsageRow(owner_id=owner, model_name=model))
            if counter in _FIELDS:
                setattr(row, _FIELDS[counter], int(value))
        ordered = [rows[key] for key in sorted(rows)]
        return cls(day=_EPOCH + datetime.timedelta(days=day), rows=ordered)
