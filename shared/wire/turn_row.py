"""A turn as operators see it: who runs what where, since when, and why it waits."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.wire.place import Place


class Wait(StrEnum):
    """Why a turn waits."""

    SLOT = "slot"
    """For a free slot: all that stand before it in the line start first."""
    HOME = "home"
    """For the worker whose cache has its conversation; others may start it a little later."""
    EARLIER_TURN = "earlier_turn"
    """For the turn before it in its conversation."""
    NO_WORKER = "no_worker"
    """No worker of its model lives."""
    WORKERS_DRAIN = "workers_drain"
    """All workers of its model drain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRow:
    """A turn without anything that its owner or the model wrote; times in ms since the epoch.

    Args:
        model_name: empty for a turn of a version before several models.
        attempts: starts that were charged, the present one included.
        worker_id: which runs it; empty if none does.
        is_suspect: its worker died, so it runs alone.
        error_code: why it failed; empty if it has not.
        request_id: of the HTTP request that brought it; empty if it is not known.
        wait: None if it does not wait.
        waits_for: the job before it, or its home; else empty.
        place: in the line, while it waits there.
    """

    job_id: str
    conversation_id: str
    owner_id: str
    model_name: str
    status: str
    created_ms: int
    started_ms: int | None
    finished_ms: int | None
    attempts: int
    worker_id: str
    is_suspect: bool
    error_code: str
    request_id: str
    wait: Wait | None
    waits_for: str
    place: Place | None

    @classmethod
    def decode(cls, row: Sequence[Any]) -> "TurnRow":
        """From a script's answer (`lua/lib/overview.lua`)."""
        job, conversation, owner, pool, status, created, started, finished, *more = row
        crashes, worker, suspect, code, request, wait, waits_for, position, eta_ms = more
        return cls(
            job_id=job,
            conversation_id=conversation,
            owner_id=owner,
            model_name=pool,
            status=status,
            created_ms=int(created),
            started_ms=_time(started),
            finished_ms=_time(finished),
            attempts=0 if started == "-" else int(crashes) + 1,
            worker_id=worker,
            is_suspect=suspect == "1",
            error_code=_text(code),
            request_id=_text(request),
            wait=Wait(wait) if wait else None,
            waits_for=waits_for,
            place=Place.of(position, eta_ms) if position else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Turns:
    """Turns of one state: how many there are, and as many rows as were wanted."""

    count: int
    rows: Sequence[TurnRow]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """All turns that run or wait, and those that failed last."""

    running: Turns
    waiting: Turns
    failed: Turns


def _text(field: str) -> str:
    return "" if field == "-" else field


def _time(field: str) -> int | None:
    return None if field == "-" else int(field)
