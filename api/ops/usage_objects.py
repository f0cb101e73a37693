"""What was used, as operators get it."""

from collections.abc import Mapping, Sequence

from typing_extensions import TypedDict

from shared.wire.limits import DEFAULT_OWNER
from shared.wire.usage_row import UNNAMED, DayOfUsage, UsageRow


class UsageOfModel(TypedDict):
    """What a key has used of a model on one day. `owner` is the key's id, `key` its name.

    Both are null without API keys, and for what is not counted by name; a revoked key has no name.
    """

    owner: str | None
    key: str | None
    model: str | None
    turns: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    unfinished_tokens: int


class DayObject(TypedDict):
    """A day, UTC."""

    day: str
    usage: list[UsageOfModel]


class UsageObject(TypedDict):
    """The days of the last week on which anything was used, today first."""

    days: list[DayObject]


def usage_object(days: Sequence[DayOfUsage], names: Mapping[str, str]) -> UsageObject:
    """All days; `names` are those of API keys, by owner."""
    return {"days": [_day_object(day, names) for day in days]}


def _day_object(day: DayOfUsage, names: Mapping[str, str]) -> DayObject:
    return {"day": day.day.isoformat(), "usage": [_row_object(row, names) for row in day.rows]}


def _row_object(row: UsageRow, names: Mapping[str, str]) -> UsageOfModel:
    is_named = row.owner_id not in (DEFAULT_OWNER, UNNAMED)
    return {
        "owner": row.owner_id if is_named else None,
        "key": names.get(row.owner_id),
        "model": row.model_name or None,
        "turns": row.turns,
        "prompt_tokens": row.prompt_tokens,
        "cached_tokens": row.cached_tokens,
        "completion_tokens": row.completion_tokens,
        "unfinished_tokens": row.unfinished_tokens,
    }
