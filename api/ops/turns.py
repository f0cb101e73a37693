"""`/ops/turns`: everybody's turns for operators, and what they can do about them."""

import re
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
_CONVERSATION: Final = re.compile(r"(?:conv_)?([1-9]\d{0,15})", re.ASCII)
_PREFIXED_JOB: Final = re.compile(r"(?:resp_|chatcmpl-)?([0-9a-f]{32})")
_REQUEST: Final = re.compile(r"[\w-]{1,64}", re.ASCII)


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
        rows = await self._rows_of(req.get_param("id") or "")
        resp.set_header("Cache-Control", "no-store")
        resp.media = {"turns": [turn_object(row, names) for row in rows]}

    async def _rows_of(self, text: str) -> list[TurnRow]:
        """By the form of the id; those of `/v1` name jobs and conversations, too."""
        if job := _PREFIXED_JOB.fullmatch(text):
            row = await self._turns.of_job(job[1])
            return [] if row is None else [row]
        if conversation := _CONVERSATION.fullmatch(text):
            return await self._turns.of_conversation(conversation[1])
        if _REQUEST.fullmatch(text):
            return await self._turns.of_request(text)
        raise field_problem("id", "must be the id of a job, a conversation or a request")


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
