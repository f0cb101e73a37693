"""One pub/sub connection per API process feeds every waiting request.

A job's log is the truth, its doorbell channel tells what is new. Whoever waits subscribes first and
reads the log then; after the connection was lost and made again the log is read from where it
was. A reader that does not keep up is dropped, and may resume.
"""

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError

from shared.events import Event, EventLog, order
from shared.keys import Keys
from shared.redis import AWAY

log = logging.getLogger(__name__)

_BUFFER: Final = 1000
"""Events that a reader may be behind."""
_PAUSE_S: Final = 0.2
_IDLE_S: Final = 10.0
_CONNECT_S: Final = 1.0
_CONFIRM_S: Final = 5.0


class FeedLost(Exception):
    """The reader was too slow, or Redis is away: resume behind the last event that arrived."""


class Watch:
    """One reader's view of one job."""

    def __init__(self, job: str, events: EventLog) -> None:
        self._job = job
        self._events = events
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(_BUFFER)
        self._overrun = False
        self.subscribed = asyncio.Event()

    def ring(self, event: Event | None) -> None:
        """Something new; None means that something may have been missed."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self._overrun = True

    async def follow(
        self, after: str | None = None, *, replay: bool = True
    ) -> AsyncGenerator[Event, None]:
        """The job's events behind `after`, as they come, up to and with the terminal one.

        With `replay` false the log is not read at first: the job does not exist yet.

        Raises:
            FeedLost: the reader was too slow.
        """
        last = order(after) if after is not None else (0, 0)
        pending = await self._events.read(self._job, after) if replay else []
        while True:
            for event in pending:
                if order(event.id) <= last:
                    continue
                last = order(event.id)
                yield event
                if event.is_terminal:
                    return
            if self._overrun:
                raise FeedLost("the reader was too slow")
            item = await self._queue.get()
            pending = [item] if item is not None else await self._missed(last)

    async def _missed(self, last: tuple[int, int]) -> list[Event]:
        try:
            return await self._events.read(self._job, f"{last[0]}-{last[1]}")
        except AWAY:
            return []  # away again; when it is back, we are told again


class EventFeed:
    """Distributes what one pub/sub connection hears."""

    def __init__(self, redis: Redis, keys: Keys, events: EventLog) -> None:
        self._keys = keys
        self._events = events
        self._pubsub: PubSub = redis.pubsub(ignore_subscribe_messages=False)
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._idle_channel = keys.doorbell("none")

    async def start(self) -> None:
        """Listen; connects as soon as Redis is there."""
        self._task = asyncio.create_task(self._listen(), name="event feed")
        await self._connected.wait()

    @property
    def is_connected(self) -> bool:
        """Whether events arrive."""
        return self._connected.is_set()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(*AWAY):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    @asynccontextmanager
    async def watch(self, job: str) -> AsyncIterator[Watch]:
        """Subscribe to a job; the subscription is confirmed when the block is entered.

        Raises:
            redis.exceptions.ConnectionError: Redis is away.
        """
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._connected.wait()
        except TimeoutError:
            raise ConnectionError("the event feed is not connected") from None
        channel = self._keys.doorbell(job)
        watch = Watch(job, self._events)
        self._watches[channel].add(watch)
        try:
            await self._pubsub.subscribe(channel)
            async with asyncio.timeout(_CONFIRM_S):
                await watch.subscribed.wait()
            yield watch
        finally:
            watchers = self._watches[channel]
            watchers.discard(watch)
            if not watchers:
                del self._watches[channel]
                if self._connected.is_set():
                    with contextlib.suppress(*AWAY):
                        await self._pubsub.unsubscribe(channel)

    async def _listen(self) -> None:
        # Only this task connects: two at once would make two connections.
        while True:
            try:
                if not self._connected.is_set():
                    await self._pubsub.subscribe(self._idle_channel)
                    self._connected.set()
                message = await self._pubsub.get_message(timeout=_IDLE_S)
                if message is not None:
                    self._dispatch(message)
            except AWAY as error:
                self._connected.clear()
                log.warning("event feed: Redis is away (%s)", type(error).__name__)
                await asyncio.sleep(_PAUSE_S)

    def _dispatch(self, message: dict[str, Any]) -> None:
        watchers = self._watches.get(message["channel"], set())
        if message["type"] == "message":
            event = Event.from_doorbell(message["data"])
            for watch in watchers:
                watch.ring(event)
        elif message["type"] == "subscribe":
            # The first confirmation, or one after the connection was made anew.
            for watch in watchers:
                if watch.subscribed.is_set():
                    watch.ring(None)
                watch.subscribed.set()
