"""`palaver jobs`, `job`, `cancel`, `requeue`: everybody's turns, as `/ops` has them."""

from collections.abc import Iterator, Sequence
from typing import Final

from api.ops.turn_objects import TurnObject, WaitObject, overview_object, turn_object
from cli.redis_command import Store, key_names, print_json, run_with_redis
from cli.table import table
from shared import ids
from shared.errors import PalaverError
from shared.wire.write_outcome import WriteOutcome

_MOST: Final = 100
_HEAD: Final = ("JOB", "CONVERSATION", "KEY", "MODEL", "STATUS", "SINCE", "WHERE OR WHY")
_NOTHING: Final = "-"


class NotFound(PalaverError):
    """There is nothing of this id, or it is no id at all."""


def list_jobs(*, as_json: bool) -> int:
    """Print the turns that run, wait, or have failed within a day."""

    async def command(store: Store) -> None:
        overview = await store.turns.overview(_MOST)
        found = overview_object(overview, key_names(store))
        if as_json:
            print_json(found)
            return
        groups = found["running"], found["waiting"], found["failed"]
        print(*_turn_lines([turn for group in groups for turn in group["turns"]]), sep="\n")
        for title, group in zip(("run", "wait", "have failed"), groups, strict=True):
            if more := group["count"] - len(group["turns"]):
                print(f"{more} more {title}.")

    return run_with_redis(command)


def show_turns(text: str, *, as_json: bool) -> int:
    """Print the turns of a job, a conversation or a request."""

    async def command(store: Store) -> None:
        rows = await store.turns.of_id(text)
        if not rows:
            raise NotFound(f"no turn is known by the id {text}")
        names = key_names(store)
        turns = [turn_object(row, names) for row in rows]
        if as_json:
            print_json({"turns": turns})
        elif len(turns) == 1:
            print(*_detail_lines(turns[0]), sep="\n")
        else:
            print(*_turn_lines(turns), sep="\n")

    return run_with_redis(command)


def cancel(job_ids: Sequence[str]) -> int:
    """End turns as their owners would; one that has ended stays as it is."""

    async def command(store: Store) -> None:
        turns = store.turns
        for text in job_ids:
            outcome = await turns.cancel(_job_id(text))
            if outcome is WriteOutcome.GONE:
                raise NotFound(f"there is no job {text}")
            print(text, "had ended" if outcome is WriteOutcome.DUP else "is cancelled")

    return run_with_redis(command)


def requeue(job_ids: Sequence[str]) -> int:
    """Give running turns back to the line; others stay as they are."""

    async def command(store: Store) -> None:
        turns = store.turns
        for text in job_ids:
            outcome = await turns.requeue(_job_id(text))
            if outcome is WriteOutcome.GONE:
                raise NotFound(f"there is no job {text}")
            print(text, "waits again" if outcome is WriteOutcome.OK else "does not run")

    return run_with_redis(command)


def _job_id(text: str) -> str:
    if (job_id := ids.job_in(text)) is None:
        raise NotFound(f"{text} is no id of a job")
    return job_id


def _turn_lines(turns: Sequence[TurnObject]) -> list[str]:
    if not turns:
        return ["No turn runs or waits, and none has failed within a day."]
    return table([_HEAD, *map(_turn_row, turns)])


def _turn_row(turn: TurnObject) -> tuple[str, ...]:
    since = turn["finished_at"] or turn["started_at"] or turn["created_at"]
    return (
        turn["job"],
        str(turn["id"]),
        turn["key"] or _NOTHING,
        turn["model"] or _NOTHING,
        turn["status"],
        since,
        turn["error"] or turn["worker"] or _why(turn["wait"]),
    )


def _why(wait: WaitObject | None) -> str:
    """Why a turn waits, and where in the queue."""
    if wait is None:
        return _NOTHING
    reasons = {
        "slot": "for a slot",
        "home": f"for its worker {wait['home']}",
        "earlier_turn": f"behind {wait['behind']}",
        "no_worker": "no worker of its model lives",
        "workers_drain": "all workers of its model drain",
    }
    queue = wait["queue"]
    if queue is None:
        return reasons[wait["reason"]]
    return f"{reasons[wait['reason']]}, number {queue['position']}"


def _detail_lines(turn: TurnObject) -> Iterator[str]:
    """One turn, a field a line; fields that say nothing are left out."""
    fields = {**turn, "wait": _why(turn["wait"]), "suspect": "yes" if turn["suspect"] else None}
    width = max(map(len, fields))
    for name, value in fields.items():
        if value is not None and value != _NOTHING:
            yield f"{name:<{width}}  {value}"
