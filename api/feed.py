"""One pub/sub connection per API process feeds every waiting request.

A job's log is the truth; what is new in it is rung into the inbox of the API process that submitted
the job. The inbox is subscribed once, before anything is submitted, so that a waiting request costs
no subscription. After the connection was lost and made again, every log is read from where its
reader was. A reader that does not keep up is dropped, and may resume.
"""

import asyncio
import contextlib
import logging
import secrets
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
_PONG_S: Final = 5.0
_CONNECT_S: Final = 1.0


class FeedLost(Exception):
    """No more events come, although the job has not ended: resume behind the last that arrived."""


class Watch:
    """One reader's view of one job."""

    def __init__(self, job: str, events: EventLog) -> None:
        self._job = job
        self._events = events
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(_BUFFER)
        self._lost: str | None = None

    def ring(self, event: Event | None) -> None:
        """Something new; None means that something may have been missed."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self._lost = "the reader was too slow"

    def stop(self) -> None:
        """This process stops: the reader goes on elsewhere."""
        self._lost = "this server stops"
        self.ring(None)

    async def follow(self) -> AsyncGenerator[Event, None]:
        """A new job's events as they come, up to and with the terminal one.

        Raises:
            FeedLost: the reader was too slow, or this process stops.
        """
        last = (0, 0)
        while self._lost is None:
            item = await self._queue.get()
            for event in [item] if item is not None else await self._missed(last):
                if order(event.id) <= last:
                    continue
                last = order(event.id)
                yield event
                if event.is_terminal:
                    return
        raise FeedLost(self._lost)

    async def _missed(self, last: tuple[int, int]) -> list[Event]:
        try:
            return await self._events.read(self._job, f"{last[0]}-{last[1]}")
        except AWAY:
            return []  # away again; when it is back, we are told again


class EventFeed:
    """Distributes what one pub/sub connection hears."""

    def __init__(self, redis: Redis, keys: Keys, events: EventLog) -> None:
        self.api = secrets.token_hex(8)
        self._events = events
        self._inbox = keys.inbox(self.api)
        self._pubsub: PubSub = redis.pubsub()
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)
        self._connected = asyncio.Event()
        self._stopped = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listen; connects as soon as Redis is there."""
        self._task = asyncio.create_task(self._listen(), name="event feed")

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

    def stop_readers(self) -> None:
        """Keep nobody waiting any more, neither now nor later."""
        self._stopped = True
        for watch in self._all_watches():
            watch.stop()

    def _all_watches(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    @asynccontextmanager
    async def watch(self, job: str) -> AsyncIterator[Watch]:
        """Watch a job that is about to be submitted with this process's inbox.

        Raises:
            redis.exceptions.ConnectionError: Redis is away.
        """
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._connected.wait()
        except TimeoutError:
            raise ConnectionError("the event feed is not connected") from None
        watch = Watch(job, self._events)
        self._watches[job].add(watch)
        if self._stopped:
            watch.stop()
        try:
            yield watch
        finally:
            self._watches[job].discard(watch)
            if not self._watches[job]:
                del self._watches[job]

    async def _listen(self) -> None:
        # Only this task connects: two at once would make two connections.
        while True:
            try:
                await self._hear()
            except AWAY as error:
                log.warning("event feed: Redis is away (%s)", type(error).__name__)
            except Exception:
                log.exception("event feed")
            self._connected.clear()
            if self._pubsub.connection is not None:
                await self._pubsub.connection.disconnect()
            await asyncio.sleep(_PAUSE_S)

    async def _hear(self) -> None:
        """Subscribe and distribute, as long as the connection answers when it is silent."""
        await self._pubsub.subscribe(self._inbox)
        asked = False
        while True:
            message = await self._pubsub.get_message(timeout=_PONG_S if asked else _IDLE_S)
            if message is not None:
                asked = False
                self._dispatch(message)
            elif asked:
                raise ConnectionError("no answer to a ping")
            else:
                await self._pubsub.ping()
                asked = True

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            job, event = Event.from_ring(message["data"])
            for watch in self._watches.get(job, ()):
                watch.ring(event)
        elif message["type"] == "subscribe":
            self._connected.set()
            for watch in self._all_watches():
                watch.ring(None)
