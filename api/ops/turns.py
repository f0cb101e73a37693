"""`/ops/turns`: everybody's turns for operators, and what they can do about them."""

from collections.abc import Mapping
from typing import Final

import falcon.asgi

from api.http.errors import Problem, field_problem
from api.http.keys import KeyRing
from api.ops.turn_objects import TurnObject, overview_object, turn_object
from shared import ids
from shared.store.operated_turns import OperatedTurns
from shared.wire.job_status import ENDED
from shared.wire.turn_row import TurnRow
from shared.wire.write_outcome import WriteOutcome

_MOST: Final = 100
"""Turns of each state that one answer shows."""


class OwnerNames:
    """What owners are called: by their keys, of which there may be none."""

    def __init__(self, keys: KeyRing | None) -> None:
        self._keys = keys

    def by_owner(self) -> Mapping[str, str]:
        return {} if self._keys is None else self._keys.names


class TurnsResource:
    """The turns that run, wait and have failed."""

    def __init__(self, turns: OperatedTurns, names: OwnerNames) -> None:
        self._turns = turns
        self._names = names

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.set_header("Cache-Control", "no-store")
        resp.media = overview_object(await self._turns.overview(_MOST), self._names.by_owner())


class LookUpResource:
    """The turns that an id belongs to."""

    def __init__(self, turns: OperatedTurns, names: OwnerNames) -> None:
        self._turns = turns
        self._names = names

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        names = self._names.by_owner()
        rows = await self._turns.of_id(req.get_param("id") or "")
        if rows is None:
            raise field_problem("id", "must be the id of a job, a conversation or a request")
        resp.set_header("Cache-Control", "no-store")
        resp.media = {"turns": [turn_object(row, names) for row in rows]}


class TurnResource:
    """What can be done about one turn."""

    def __init__(self, turns: OperatedTurns, names: OwnerNames) -> None:
        self._turns = turns
        self._names = names

    async def _turn(self, job_id: str) -> TurnObject:
        return turn_object(await self._row(job_id), self._names.by_owner())

    async def _row(self, job_id: str) -> TurnRow:
        """A turn as it is now.

        Raises:
            Problem: 404.
        """
        row = await self._turns.of_job(job_id) if ids.is_job(job_id) else None
        if row is None:
            raise Problem(404, "not_found", "there is no such job")
        return row


class CancelTurnResource(TurnResource):
    """Ends a turn, as its owner's DELETE does."""

    async def on_post(
        self, _req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str
    ) -> None:
        if ids.is_job(job):
            await self._turns.cancel(job)
        resp.media = await self._turn(job)


class RequeueTurnResource(TurnResource):
    """Gives a running turn back to the line."""

    async def on_post(
        self, _req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str
    ) -> None:
        row = await self._row(job)
        if row.status not in ENDED:
            outcome = await self._turns.requeue(job)
            row = row if outcome is WriteOutcome.GONE else await self._row(job)
        if row.status in ENDED:
            raise Problem(409, "turn_ended", _why_not_again(row))
        resp.media = turn_object(row, self._names.by_owner())


def _why_not_again(row: TurnRow) -> str:
    """Its client has been told how it ended, and may have sent the prompt again."""
    has_ended = {"failed": "has failed", "cancelled": "was cancelled"}
    return (
        f"the turn {has_ended.get(row.status, 'is complete')}, and its client knows it: to run the "
        "prompt again, its owner sends it again"
    )
