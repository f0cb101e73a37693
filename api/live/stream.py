"""A job's events as server-sent events, from the beginning or from where a client left off."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final, cast

import falcon.asgi
from falcon.asgi import SSEvent

from api.http.errors import Problem, field_problem
from api.http.incoming import Incoming
from api.live.feed import EventFeed
from api.live.places import Places
from api.live.watch import Watch
from shared import ids
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs
from shared.wire.event import Event, order

# As long as any id of Redis (64 bits) of which all numbers are ids.
_EVENT_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
_PING_S: Final = 15.0


class EventStream:
    """Streams events; what ends a stream is its terminal event, anything else breaks it off."""

    def __init__(self, feed: EventFeed, events: EventLog, jobs: Jobs, places: Places) -> None:
        self._feed = feed
        self._events = events
        self._jobs = jobs
        self._places = places

    async def open(
        self, job_id: str, owner_id: str, after: str | None, resp: falcon.asgi.Response
    ) -> None:
        """Let a response stream the events behind `after`; 204 if the terminal one was seen.

        Raises:
            Problem: 404, there is no such job.
        """
        state = await self._jobs.get(job_id, owner_id) if ids.is_job(job_id) else None
        if state is None:
            raise Problem(404, "not_found", "there is no such job")
        outcome = await self._events.outcome(job_id)
        if outcome is not None and after is not None and order(after) >= order(outcome.id):
            resp.status = 204
            return
        queued = None
        if state.place is not None:
            queued = Event.queued(after or "0-0", job_id, state.conversation_id, state.place)
        open_stream(resp, self._emit(job_id, after, queued))

    async def _emit(
        self, job_id: str, after: str | None, queued: Event | None
    ) -> AsyncIterator[SSEvent | None]:
        async with self._feed.watch(job_id, after, queued) as watch:
            with self._places.following(watch):
                async for event in events_or_pings(watch):
                    yield _sse(event) if event is not None else None


def open_stream(resp: falcon.asgi.Response, events: AsyncIterator[SSEvent | None]) -> None:
    """Answer with events as they come: nothing on the way may keep or collect them."""
    resp.set_header("Cache-Control", "no-store")
    resp.set_header("X-Accel-Buffering", "no")
    resp.content_type = "text/event-stream"
    resp.sse = events


class LiveStreams:
    """Middleware: a stream ends as soon as its client has left, not with its next event.

    One that nobody asked to read (HEAD) does not begin.
    """

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        """Wrap the stream, if there is one."""
        if req.method != "HEAD":
            if resp.sse is not None:
                resp.sse = _until_left(resp.sse, Incoming.of(req))
        elif resp.sse is not None:
            # A body of unknown length, of which nothing is sent.
            resp.sse, resp.stream = None, _nothing()
        elif (close := getattr(resp.stream, "close", None)) is not None:
            await close()  # A file; falcon closes those only that it sends.


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _until_left(
    events: AsyncIterator[SSEvent | None], incoming: Incoming
) -> AsyncIterator[SSEvent | None]:
    """Events as long as somebody reads them; falcon itself watches for the client's leaving."""
    async with contextlib.aclosing(cast(AsyncGenerator[SSEvent | None, None], events)):
        while True:
            try:
                async with incoming.waiting():
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError:
                if incoming.has_left:
                    return
                raise
            yield event


async def events_or_pings(watch: Watch) -> AsyncIterator[Event | None]:
    """Events to the terminal one; None whenever a proxy might think that nothing happens."""
    while True:
        events = await _within(watch, _PING_S)
        if not events:
            yield None
        for event in events:
            yield event
            if event.is_terminal:
                return


def requested_position(req: falcon.asgi.Request) -> str | None:
    """The event behind which a client wants to go on: `Last-Event-ID`, else `?after=`.

    Raises:
        Problem: it is no event id.
    """
    field, after = "Last-Event-ID", req.get_header("Last-Event-ID")
    if after is None:
        field, after = "after", req.get_param("after")
    if after is not None and not _EVENT_ID.fullmatch(after):
        raise field_problem(field, "is not the id of an event")
    return after


async def _within(watch: Watch, pause_s: float) -> list[Event]:
    try:
        async with asyncio.timeout(pause_s):
            return await watch.events()
    except TimeoutError:
        return []


def _sse(event: Event) -> SSEvent:
    # One line of JSON: its encoder escapes line breaks, so that no event can be forged.
    return SSEvent(data=event.data.encode(), event=event.kind, event_id=event.id)
