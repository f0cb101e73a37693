"""`/jobs/{job}` and its events: where is my reply?"""

import re

import falcon.asgi

from api.http.access import caller_of
from api.http.errors import Problem, field_problem
from api.http.preferences import Preference
from api.live.stream import EventStream, requested_position
from api.live.waiting import Waiting, show
from shared import ids
from shared.store.jobs import Jobs, JobState
from shared.store.submissions import Submissions
from shared.wire.write_outcome import WriteOutcome

_LONGEST_WAIT_S = 60


class JobResource:
    """Shows jobs, waits for them, cancels them."""

    def __init__(self, jobs: Jobs, turns: Submissions, waiting: Waiting) -> None:
        self._jobs = jobs
        self._turns = turns
        self._waiting = waiting

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str) -> None:
        wait_s = _requested_wait(req)
        owner = caller_of(req).owner_id
        state = await self._existing(job, owner)
        if wait_s > 0 and not state.has_ended:
            await self._waiting.until_ended(job, wait_s)
            state = await self._existing(job, owner)
        show(state, resp)

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str
    ) -> None:
        owner = caller_of(req).owner_id
        if ids.is_job(job) and await self._turns.cancel(job, owner) is WriteOutcome.GONE:
            raise _not_found()
        show(await self._existing(job, owner), resp)

    async def _existing(self, job_id: str, owner_id: str) -> JobState:
        state = await self._jobs.get(job_id, owner_id) if ids.is_job(job_id) else None
        if state is None:
            raise _not_found()
        return state


class JobEventsResource:
    """A job's events, live or afterwards."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str) -> None:
        await self._stream.open(job, caller_of(req).owner_id, requested_position(req), resp)


def _not_found() -> Problem:
    return Problem(404, "not_found", "there is no such job")


def _requested_wait(req: falcon.asgi.Request) -> float:
    said = req.get_param("wait")
    if said is None:
        return Preference.of(req).limited(_LONGEST_WAIT_S) or 0
    if not re.fullmatch("[0-9]{1,3}", said) or int(said) > _LONGEST_WAIT_S:
        raise field_problem("wait", f"must be an integer from 0 to {_LONGEST_WAIT_S}")
    return int(said)
