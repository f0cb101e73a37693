"""`/jobs/{job}` and its events."""

import re
from typing import Final

import falcon.asgi

from api.http.access import caller_of
from api.http.errors import Problem, field_problem
from api.http.preferences import Preference
from api.live.asking import Asking
from api.live.stream import EventStreams, requested_position
from shared import ids
from shared.store.jobs import Jobs, JobState
from shared.store.submissions import Submissions
from shared.wire.write_outcome import WriteOutcome

_LONGEST_WAIT_S: Final = 60
RETRY_AFTER_S: Final = 1


class JobResource:
    """Shows, awaits and cancels jobs."""

    def __init__(self, jobs: Jobs, submissions: Submissions, asking: Asking) -> None:
        self._jobs = jobs
        self._submissions = submissions
        self._asking = asking

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str) -> None:
        wait_s = _requested_wait(req)
        owner_id = caller_of(req).owner_id
        state = await existing_job(self._jobs, job, owner_id)
        if wait_s > 0 and not state.has_ended:
            await self._asking.until_ended(job, wait_s)
            state = await existing_job(self._jobs, job, owner_id)
        write_job(resp, state)

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str
    ) -> None:
        owner_id = caller_of(req).owner_id
        if ids.is_job(job) and await self._submissions.cancel(job, owner_id) is WriteOutcome.GONE:
            raise no_such_job()
        write_job(resp, await existing_job(self._jobs, job, owner_id))


class JobStopResource:
    """Ends a job with what is written of its reply."""

    def __init__(self, jobs: Jobs, submissions: Submissions) -> None:
        self._jobs = jobs
        self._submissions = submissions

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str) -> None:
        owner_id = caller_of(req).owner_id
        if not ids.is_job(job) or (
            await self._submissions.stop(job, owner_id) is WriteOutcome.GONE
        ):
            raise no_such_job()
        write_job(resp, await existing_job(self._jobs, job, owner_id))


class JobEventsResource:
    """A job's events, live or afterwards."""

    def __init__(self, streams: EventStreams) -> None:
        self._streams = streams

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str) -> None:
        await self._streams.open(job, caller_of(req).owner_id, requested_position(req), resp)


async def existing_job(jobs: Jobs, job_id: str, owner_id: str) -> JobState:
    """An owner's job.

    Raises:
        Problem: there is none with this id.
    """
    state = await jobs.get(job_id, owner_id) if ids.is_job(job_id) else None
    if state is None:
        raise no_such_job()
    return state


def write_job(resp: falcon.asgi.Response, state: JobState) -> None:
    """Write a job object and, unless it has ended, when to look again."""
    if not state.has_ended:
        resp.set_header("Retry-After", str(RETRY_AFTER_S))
    resp.media = state.to_wire()


def no_such_job(detail: str = "there is no such job") -> Problem:
    """404, also for jobs of other owners."""
    return Problem(404, "not_found", detail)


def _requested_wait(req: falcon.asgi.Request) -> float:
    wait = req.get_param("wait")
    if wait is None:
        return Preference.of(req).limited(_LONGEST_WAIT_S) or 0
    if not re.fullmatch("[0-9]{1,3}", wait) or int(wait) > _LONGEST_WAIT_S:
        raise field_problem("wait", f"must be an integer from 0 to {_LONGEST_WAIT_S}")
    return int(wait)
