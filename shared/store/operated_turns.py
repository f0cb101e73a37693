"""Everybody's turns, for operators: what becomes of them, and how to end it. None of their text."""

import re
from dataclasses import replace
from typing import Any, Final

from redis.asyncio import Redis

from shared import ids
from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.store.submissions import Submissions
from shared.wire.turn_row import Overview, TurnRow, Turns
from shared.wire.write_outcome import WriteOutcome

_LOOKED_THROUGH: Final = 1000
"""Turns in which a request is sought: of those that have not ended, and of those that failed."""
_LOOKED_AT: Final = 200
"""By one call (lua/look_up.lua)."""
_REQUEST: Final = re.compile(r"[\w-]{1,64}", re.ASCII)


class OperatedTurns:
    """Reads turns of all owners, cancels them, and gives them back to the line."""

    def __init__(self, redis: Redis, keys: Keys, submissions: Submissions) -> None:
        self._redis: Any = redis
        self._keys = keys
        self._submissions = submissions
        self._call = Scripts(redis, keys, "overview", "look_up", "requeue").call

    async def overview(self, limit: int) -> Overview:
        """The turns that run, wait and have failed, at most so many of each."""
        # One by one: each call looks at a hundred turns, and others wait meanwhile.
        running = await self._turns("running", limit)
        waiting = await self._turns("waiting", limit)
        failed = await self._turns("failed", limit)
        running = replace(running, rows=sorted(running.rows, key=_began_ms))
        return Overview(running=running, waiting=waiting, failed=failed)

    async def _turns(self, state: str, limit: int) -> Turns:
        count, rows = await self._call("overview", state=state, limit=limit)
        return Turns(count=count, rows=[TurnRow.decode(row) for row in rows])

    async def of_id(self, text: str) -> list[TurnRow] | None:
        """The turns of a job, a conversation or a request, by the form of the id.

        None if it has no such form. Ids of jobs and conversations may be written as `/v1` does.
        """
        if (job_id := ids.job_in(text)) is not None:
            row = await self.of_job(job_id)
            return [] if row is None else [row]
        if (conversation_id := ids.conversation_in(text)) is not None:
            return await self.of_conversation(conversation_id)
        return await self.of_request(text) if _REQUEST.fullmatch(text) else None

    async def of_job(self, job_id: str) -> TurnRow | None:
        """The turn of a job; None if it is not known."""
        rows = await self._look_up(job=job_id)
        return rows[0] if rows else None

    async def of_conversation(self, conversation_id: str) -> list[TurnRow]:
        """The last turns of a conversation, the newest in front; a hundred at most."""
        return await self._look_up(conversation=conversation_id)

    async def of_request(self, request_id: str) -> list[TurnRow]:
        """The turns that a request brought, unless they have ended well or were cancelled."""
        found = []
        for first in range(0, _LOOKED_THROUGH, _LOOKED_AT):
            found += await self._look_up(request=request_id, **{"from": first})
        return found

    async def _look_up(self, **arguments: Any) -> list[TurnRow]:
        return [TurnRow.decode(row) for row in await self._call("look_up", **arguments)]

    async def cancel(self, job_id: str) -> WriteOutcome:
        """End a turn as its owner would; `DUP` if it had ended, `GONE` if there is no such job."""
        owner_id = await self._redis.hget(self._keys.job(job_id), "owner")
        if owner_id is None:
            return WriteOutcome.GONE
        return await self._submissions.cancel(job_id, owner_id)

    async def requeue(self, job_id: str) -> WriteOutcome:
        """Give a running turn back to the line, for any worker; no attempt is charged.

        Returns:
            `FENCED` if no worker had it, or it changed hands meanwhile; `GONE` if there is no such
            job.
        """
        fence = await self._redis.hget(self._keys.job(job_id), "token")
        return await self.give_back(job_id, fence or "")

    async def give_back(self, job_id: str, fence: str) -> WriteOutcome:
        """Requeue the start that has this fence; repeating the call moves no other start."""
        return WriteOutcome(await self._call("requeue", job=job_id, fence=fence))


def _began_ms(row: TurnRow) -> int:
    return row.started_ms or row.created_ms
