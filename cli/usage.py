"""`palaver usage`: turns and tokens of a week, as the operations page has them."""

from typing import Final

from api.ops.usage_objects import UsageObject, UsageOfModel, usage_object
from cli.redis_command import Store, key_names, print_json, run_with_redis
from cli.table import table

_HEAD: Final = ("DAY", "KEY", "MODEL", "TURNS", "PROMPT", "CACHED", "REPLY", "UNFINISHED")


def show_usage(*, as_json: bool) -> int:
    """Print what was used, by day, key and model."""

    async def command(store: Store) -> None:
        week = usage_object(await store.usage.week(), key_names(store))
        if as_json:
            print_json(week)
        elif week["days"]:
            print(*_lines(week), sep="\n")
        else:
            print("Nothing was used within a week.")

    return run_with_redis(command)


def _lines(week: UsageObject) -> list[str]:
    rows = [(day["day"], *_row(row)) for day in week["days"] for row in day["usage"]]
    return table([_HEAD, *rows])


def _row(row: UsageOfModel) -> tuple[str, ...]:
    counts = (
        row["turns"],
        row["prompt_tokens"],
        row["cached_tokens"],
        row["completion_tokens"],
        row["unfinished_tokens"],
    )
    owner = row["key"] or row["owner"] or "-"
    return owner, row["model"] or "-", *(f"{count:,}" for count in counts)
