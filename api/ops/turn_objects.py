"""Turns as operators get them: ids, times and reasons, and nothing that anybody wrote."""

from collections.abc import Mapping
from typing import Literal, cast

from typing_extensions import TypedDict

from shared.wire.job_status import JobStatus
from shared.wire.objects import QueuePlace
from shared.wire.timestamps import rfc3339
from shared.wire.turn_row import Overview, TurnRow, Turns, Wait


class WaitObject(TypedDict):
    """Why a turn waits.

    `behind` is the job before it in its conversation, `home` the worker whose cache has that.
    """

    reason: Literal["slot", "home", "earlier_turn", "no_worker", "workers_drain"]
    behind: str | None
    home: str | None
    queue: QueuePlace | None


class TurnObject(TypedDict):
    """A turn as operators see it. `key` is the name of its owner's API key, if that has one."""

    job: str
    id: int
    key: str | None
    model: str | None
    status: JobStatus
    attempts: int
    created_at: str
    started_at: str | None
    finished_at: str | None
    worker: str | None
    suspect: bool
    wait: WaitObject | None
    error: str | None
    request: str | None


class TurnsObject(TypedDict):
    """Turns of one state: how many there are, and at most the first hundred."""

    count: int
    turns: list[TurnObject]


class OverviewObject(TypedDict):
    """All turns that run or wait, and those that failed within a day."""

    running: TurnsObject
    waiting: TurnsObject
    failed: TurnsObject


class TurnList(TypedDict):
    """The turns that an id belongs to."""

    turns: list[TurnObject]


def overview_object(overview: Overview, names: Mapping[str, str]) -> OverviewObject:
    """All turns; `names` are those of API keys, by owner."""
    return {
        "running": _turns_object(overview.running, names),
        "waiting": _turns_object(overview.waiting, names),
        "failed": _turns_object(overview.failed, names),
    }


def _turns_object(turns: Turns, names: Mapping[str, str]) -> TurnsObject:
    return {"count": turns.count, "turns": [turn_object(row, names) for row in turns.rows]}


def turn_object(row: TurnRow, names: Mapping[str, str]) -> TurnObject:
    """One turn."""
    return {
        "job": row.job_id,
        "id": int(row.conversation_id),
        "key": names.get(row.owner_id),
        "model": row.model_name or None,
        "status": cast(JobStatus, row.status),
        "attempts": row.attempts,
        "created_at": rfc3339(row.created_ms),
        "started_at": None if row.started_ms is None else rfc3339(row.started_ms),
        "finished_at": None if row.finished_ms is None else rfc3339(row.finished_ms),
        "worker": row.worker_id or None,
        "suspect": row.is_suspect,
        "wait": _wait_object(row),
        "error": row.error_code or None,
        "request": row.request_id or None,
    }


def _wait_object(row: TurnRow) -> WaitObject | None:
    if row.wait is None:
        return None
    place = row.place
    return {
        "reason": row.wait.value,
        "behind": row.waits_for if row.wait is Wait.EARLIER_TURN else None,
        "home": row.waits_for if row.wait is Wait.HOME else None,
        "queue": None
        if place is None
        else {"position": place.position, "eta_seconds": place.eta_seconds},
    }
