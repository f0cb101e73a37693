"""Waiting for a job's end, and telling of it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Final

import falcon
import falcon.asgi
import orjson

from api.http.errors import Problem, job_problem, rate_limit_headers
from api.http.incoming import Incoming
from api.live.feed import EventFeed
from api.live.watch import FeedLost, Watch
from shared.errors import OutcomeUnknown
from shared.store.connection import REDIS_UNAVAILABLE
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs, JobState
from shared.wire.event import Event
from shared.wire.limits import Allowance
from shared.wire.submission import Accepted

RETRY_AFTER_S: Final = 1
_STATUS_WITHIN_S: Final = 2.0
"""How long a stream's status waits for its first piece."""


class ClientLeft(Problem):
    """Nobody hears this; the log and the figures tell it from an error of ours."""

    def __init__(self) -> None:
        super().__init__(499, "client_left", "the client has left")


class Waiting:
    """Waits for outcomes as long as it may, and writes what came of it into responses."""

    def __init__(self, feed: EventFeed, events: EventLog, jobs: Jobs) -> None:
        self._feed = feed
        self._events = events
        self._jobs = jobs

    async def until_ended(self, job_id: str, wait_s: float) -> Event | None:
        """The terminal event of a job that exists; None if it does not come in time."""
        outcome = await self._events.outcome(job_id)
        if outcome is None and wait_s > 0:
            async with self._feed.watch(job_id) as watch:
                outcome = await first_terminal(watch, wait_s)
        return outcome

    async def answer(
        self,
        accepted: Accepted,
        owner_id: str,
        event: Event | None,
        resp: falcon.asgi.Response,
        *,
        at_once: bool = False,
    ) -> None:
        """The reply, the problem, or 202 with the job object when there is no outcome yet.

        `at_once`: the job object, even if the job has ended already.
        """
        tell_allowance(accepted.allowance, resp)
        try:
            if not at_once:
                event = event or await self._events.outcome(accepted.job_id)
            if event is not None:
                return tell(accepted, event, resp)
            state = await self._jobs.get(accepted.job_id, owner_id)
        except REDIS_UNAVAILABLE:
            raise OutcomeUnknown(accepted.job_id) from None
        if state is None:
            detail = "the job is gone: its conversation was deleted, or Redis has lost its data"
            raise Problem(404, "not_found", detail)
        resp.status = 202
        resp.set_header("Location", f"/jobs/{accepted.job_id}")
        resp.set_header("Retry-After", str(RETRY_AFTER_S))
        return show(state, resp)


def tell_allowance(allowance: Allowance | None, resp: falcon.asgi.Response) -> None:
    """Write what is left of a limit into an answer's headers."""
    if allowance is not None:
        resp.set_headers(rate_limit_headers(allowance))


def show(state: JobState, resp: falcon.asgi.Response) -> None:
    """Write a job object."""
    if not state.has_ended:
        resp.set_header("Retry-After", str(RETRY_AFTER_S))
    resp.content_type = falcon.MEDIA_JSON
    resp.data = orjson.dumps(state.to_wire())


def tell(accepted: Accepted, event: Event, resp: falcon.asgi.Response) -> None:
    """Turn a job's outcome into the answer of a waiting `POST /`.

    Raises:
        Problem: it ended without a reply.
    """
    if event.kind == "completed":
        resp.content_type = falcon.MEDIA_JSON
        resp.data = event.data.encode()
        return
    raise to_problem_of(accepted, event)


def to_problem_of(accepted: Accepted, event: Event) -> Problem:
    """What a waiting client is told of a job that ended without a reply."""
    error: Mapping[str, Any] = {"code": "job_cancelled", "detail": "the job was cancelled"}
    if event.kind == "failed":
        error = orjson.loads(event.data)["error"]
    return job_problem(accepted.job_id, accepted.conversation_id, error)


async def first_terminal(
    watch: Watch, wait_s: float, only_reader: Incoming | None = None
) -> Event | None:
    """The terminal event, or None when it does not come while we can wait.

    Raises:
        ClientLeft: the only one who could read it has gone.
    """
    return await _first(watch, lambda event: event.is_terminal, wait_s, only_reader)


async def raise_early_failure(
    feed: EventFeed, accepted: Accepted, only_reader: Incoming | None = None
) -> None:
    """Wait for a turn's first piece, but not long, before a stream of it is opened.

    Once a stream has begun its status is 200, whatever becomes of the turn: what fails at once, as
    a prompt does that is too long, is better told by the status.

    Raises:
        Problem: the turn ended without a reply before it had written anything.
        ClientLeft: the only one who could read it has gone.
    """
    async with feed.watch(accepted.job_id) as watch:
        first = await _first(watch, _says_how_it_goes, _STATUS_WITHIN_S, only_reader)
    if first is not None and first.is_terminal and first.kind != "completed":
        raise to_problem_of(accepted, first)


def _says_how_it_goes(event: Event) -> bool:
    return event.kind == "token" or event.is_terminal


async def _first(
    watch: Watch,
    is_wanted: Callable[[Event], bool],
    wait_s: float,
    only_reader: Incoming | None,
) -> Event | None:
    try:
        async with asyncio.timeout(wait_s):
            if only_reader is None:
                return await _next(watch, is_wanted)
            async with only_reader.watched():
                return await _next(watch, is_wanted)
    except (TimeoutError, FeedLost):
        if only_reader is not None and only_reader.has_left:
            raise ClientLeft from None
        return None


async def _next(watch: Watch, is_wanted: Callable[[Event], bool]) -> Event:
    while True:
        for event in await watch.events():
            if is_wanted(event):
                return event
