"""A turn's events as server-sent events, from the beginning or from where a client left off."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Self, cast

import falcon.asgi
from falcon.asgi import SSEvent

from api.http.errors import Problem, field_problem
from api.http.incoming import Incoming
from api.live.feed import EventFeed
from api.live.places import Places
from api.live.watch import Watch
from shared import ids
from shared.process.tasks import end
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs
from shared.wire.event import Event, order

# As long as any id of Redis (64 bits), though not all numbers of 19 digits are ids.
_EVENT_ID = re.compile(r"[0-9]{1,19}-[0-9]{1,19}")
_PING_S: Final = 15.0
_END: Final = object()

Translator = Callable[[Event], Awaitable[Iterable[SSEvent]]]
"""What a dialect sends for one of a turn's events."""


class EventStreams:
    """Streams the events of jobs.

    A stream ends after the terminal event, and only then: anything else breaks the connection off,
    and the client resumes.
    """

    def __init__(self, feed: EventFeed, events: EventLog, jobs: Jobs, places: Places) -> None:
        self._feed = feed
        self._events = events
        self._jobs = jobs
        self._places = places

    async def open(
        self, job_id: str, owner_id: str, after: str | None, resp: falcon.asgi.Response
    ) -> None:
        """Let the response stream a job's events after `after`; 204 if the client has them all.

        Raises:
            Problem: 404, there is no such job.
        """
        state = await self._jobs.get(job_id, owner_id) if ids.is_job(job_id) else None
        if state is None:
            raise Problem(404, "not_found", "there is no such job")
        end = await self._events.outcome(job_id)
        if end is not None and after is not None and order(after) >= order(end.id):
            resp.status = 204
            return
        queued = None
        if state.place is not None:
            queued = Event.queued(after or "0-0", job_id, state.conversation_id, state.place)
        open_stream(resp, self._follow(job_id, after, queued))

    def open_translated(
        self, job_id: str, translate: Translator, resp: falcon.asgi.Response
    ) -> None:
        """Let the response stream all events of a job that exists, in another dialect."""
        open_stream(resp, self._follow_translated(job_id, translate))

    async def _follow(
        self, job_id: str, after: str | None, queued: Event | None
    ) -> AsyncIterator[SSEvent | None]:
        async with self._feed.watch(job_id, after, queued) as watch:
            with self._places.following(watch):
                async for event in translated(watch, _as_it_is):
                    yield event

    async def _follow_translated(
        self, job_id: str, translate: Translator
    ) -> AsyncIterator[SSEvent | None]:
        async with self._feed.watch(job_id) as watch:
            async for event in translated(watch, translate):
                yield event


async def translated(
    watch: Watch, translate: Translator, early: Sequence[Event] | None = None
) -> AsyncGenerator[SSEvent | None, None]:
    """What a watch hears, to the terminal event; None (a ping) when a proxy may think it is dead.

    Args:
        early: events that were taken from the watch before. Then the stream begins with a ping: the
            client sees that it has begun, even if nothing is written yet.
    """
    if early is not None:
        yield None
    events = early or await _next_events(watch)
    while True:
        if not events:
            yield None
        for event in events:
            for translation in await translate(event):
                yield translation
            if event.is_terminal:
                return
        events = await _next_events(watch)


async def interleaved(
    streams: Sequence[AsyncGenerator[SSEvent | None, None]], is_over: Callable[[], bool]
) -> AsyncGenerator[SSEvent | None, None]:
    """The events of several streams as they come, until all have ended or it is over."""
    waiting = {asyncio.ensure_future(anext(stream, _END)): stream for stream in streams}
    try:
        while waiting:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                stream = waiting.pop(task)
                if (event := task.result()) is not _END:
                    waiting[asyncio.ensure_future(anext(stream, _END))] = stream
                    yield cast("SSEvent | None", event)
                    if is_over():
                        return
    finally:
        await end(*waiting)
        for stream in streams:
            await stream.aclose()


async def _next_events(watch: Watch) -> list[Event]:
    try:
        async with asyncio.timeout(_PING_S):
            return await watch.events()
    except TimeoutError:
        return []


async def _as_it_is(event: Event) -> Iterable[SSEvent]:
    # One line of JSON: its encoder escapes line breaks, so no event can be forged.
    return (SSEvent(data=event.data.encode(), event=event.kind, event_id=event.id),)


def open_stream(resp: falcon.asgi.Response, events: AsyncIterator[SSEvent | None]) -> None:
    """Answer with events as they come: no proxy may keep them or hold them back."""
    resp.set_header("Cache-Control", "no-store")
    resp.set_header("X-Accel-Buffering", "no")
    resp.content_type = "text/event-stream"
    resp.sse = events


class ReleasingStream:
    """A stream that gives back what it holds when it is closed, even if it was never read."""

    def __init__(
        self, events: AsyncGenerator[SSEvent | None, None], held: contextlib.AsyncExitStack
    ) -> None:
        self._events = events
        self._held = held

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SSEvent | None:
        return await anext(self._events)

    async def aclose(self) -> None:
        """Close the stream; what was held is given back in any case."""
        async with self._held:
            await self._events.aclose()


class LiveStreams:
    """Middleware: a stream ends as soon as its client has left, not with its next event.

    The stream of a HEAD request does not begin.
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
            await close()  # A file; falcon closes only those that it sends.


async def _nothing() -> AsyncIterator[bytes]:
    return
    yield b""


async def _until_left(
    events: AsyncIterator[SSEvent | None], incoming: Incoming
) -> AsyncIterator[SSEvent | None]:
    """Events as long as the client is there; falcon itself watches for its leaving."""
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


def requested_position(req: falcon.asgi.Request) -> str | None:
    """The event after which a client wants to resume: `Last-Event-ID`, else `?after=`.

    Raises:
        Problem: it is not the id of an event.
    """
    field, after = "Last-Event-ID", req.get_header("Last-Event-ID")
    if after is None:
        field, after = "after", req.get_param("after")
    if after is not None and not _EVENT_ID.fullmatch(after):
        raise field_problem(field, "is not the id of an event")
    return after
