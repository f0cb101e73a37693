"""One pub/sub connection per API process feeds every waiting request.

A job's log is the truth. Its end is published to the inbox of the API process that submitted it.
The inbox is subscribed to once, before anything is submitted, so a waiting request costs no
subscription. A reader that follows a job live subscribes to its doorbell, then reads its log. After
a reconnection, every reader reads its log from where it was.
"""

import asyncio
import contextlib
import logging
import secrets
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError, RedisError

from api.live.watch import Log, Watch
from shared.process.tasks import Background
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.store.event_log import EventLog
from shared.store.keys import Keys
from shared.wire.event import Event

log = logging.getLogger(__name__)

_PAUSE_S: Final = 0.2
_IDLE_S: Final = 10.0
_PONG_S: Final = 5.0
_CONNECT_S: Final = 1.0
_CONFIRM_S: Final = 5.0
_CHECK_S: Final = 5.0
_BATCH: Final = 250
"""Jobs that are checked with one pipeline."""
_NAME: Final = "event feed"
"""Its name in reports of trouble with Redis."""


def new_api() -> str:
    """An id for this API process."""
    return secrets.token_hex(8)


class EventFeed:
    """Distributes the messages of one pub/sub connection to the readers of jobs.

    Args:
        api_id: whose inbox it reads.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        events: EventLog,
        api_id: str | None = None,
        *,
        check_s: float = _CHECK_S,
    ) -> None:
        self.api_id = api_id or new_api()
        self._name = _NAME
        self._redis = redis
        self._check_s = check_s
        self._keys = keys
        self._events = events
        self._inbox = keys.inbox(self.api_id)
        self._pubsub: PubSub = redis.pubsub()
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)
        self._connected = asyncio.Event()
        self._stopped = False

    def start(self, background: Background, of: str = "") -> None:
        """Listen; connects as soon as Redis is available.

        Args:
            of: what the names of the tasks end with, where there are several feeds.
        """
        self._name = f"{_NAME}{of}"
        background.start(self._name, self._listen)
        background.start(f"lost jobs{of}", self._check_jobs)

    @property
    def is_connected(self) -> bool:
        """Whether events arrive."""
        return self._connected.is_set()

    async def close(self) -> None:
        """Close the connection, after the tasks have ended."""
        with contextlib.suppress(*REDIS_UNAVAILABLE):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]

    def stop_readers(self) -> None:
        """End every wait, now and from now on."""
        self._stopped = True
        for watch in self._all_watches():
            watch.stop()

    def _all_watches(self) -> list[Watch]:
        return [watch for watches in self._watches.values() for watch in watches]

    @asynccontextmanager
    async def watch_new(self, job_id: str) -> AsyncIterator[Watch]:
        """Watch for the end of a job that is about to be submitted by this process.

        Raises:
            redis.exceptions.ConnectionError: Redis is unavailable.
        """
        await self._until_connected()
        new = Watch(
            job_id, self._events, None, replay=False, confirms_ends=self._events.confirms_ends
        )
        with self._registered(new, job_id) as watch:
            yield watch

    @asynccontextmanager
    async def watch(
        self, job_id: str, after: str | None = None, queued: Event | None = None
    ) -> AsyncIterator[Watch]:
        """Watch all events of any job, those in its log included.

        Args:
            after: the log id after which to read.
            queued: the `queued` event of a turn that waits.

        Raises:
            redis.exceptions.ConnectionError: Redis is unavailable.
        """
        new = Watch(
            job_id,
            self._events,
            after,
            replay=True,
            queued=queued,
            confirms_ends=self._events.confirms_ends,
        )
        async with self._subscribed(new, self._keys.doorbell(job_id)) as watch:
            yield watch

    @asynccontextmanager
    async def watch_list(self, owner_id: str, changes: Log, after: str) -> AsyncIterator[Watch]:
        """Watch the changes of an owner's list of conversations after a log id.

        Raises:
            redis.exceptions.ConnectionError: Redis is unavailable.
        """
        new = Watch(owner_id, changes, after, replay=True, of_job=False)
        async with self._subscribed(new, self._keys.list_doorbell(owner_id)) as watch:
            yield watch

    def lock_out(self, owner_id: str) -> None:
        """End the streams of lists of an owner whose key was revoked."""
        for watch in self._watches.get(self._keys.list_doorbell(owner_id), ()):
            watch.lock_out()

    @asynccontextmanager
    async def _subscribed(self, new: Watch, channel: str) -> AsyncIterator[Watch]:
        await self._until_connected()
        try:
            with self._registered(new, channel) as watch:
                await self._subscribe(channel, watch)
                yield watch
        finally:
            if channel not in self._watches:
                await self._unsubscribe(channel)

    async def _subscribe(self, channel: str, watch: Watch) -> None:
        others = self._watches[channel] - {watch}
        if any(other.subscribed.is_set() for other in others):
            watch.subscribed.set()
        elif not others:
            await self._pubsub.subscribe(channel)
        try:
            async with asyncio.timeout(_CONFIRM_S):
                await watch.subscribed.wait()
        except TimeoutError:
            raise ConnectionError("Redis does not confirm a subscription") from None

    async def _unsubscribe(self, channel: str) -> None:
        with contextlib.suppress(*REDIS_UNAVAILABLE):
            if self._connected.is_set():
                await self._pubsub.unsubscribe(channel)
                return
        # Otherwise the next connection would subscribe to it again.
        self._pubsub.channels.pop(channel, None)

    @contextlib.contextmanager
    def _registered(self, watch: Watch, name: str) -> Iterator[Watch]:
        self._watches[name].add(watch)
        if self._stopped:
            watch.stop()
        try:
            yield watch
        finally:
            self._watches[name].discard(watch)
            if not self._watches[name]:
                del self._watches[name]

    async def _until_connected(self) -> None:
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._connected.wait()
        except TimeoutError:
            raise ConnectionError("the event feed is not connected") from None

    async def _listen(self) -> None:
        # Only this task connects: two at once would make two connections.
        while True:
            try:
                await self._distribute()
            except (*REDIS_UNAVAILABLE, RedisError) as error:
                trouble.met(error, self._name)
            except Exception:
                log.exception("event feed")
            self._connected.clear()
            await self._disconnect()
            await asyncio.sleep(_PAUSE_S)

    async def _disconnect(self) -> None:
        # If this fails it does not matter: the next connection is a new one.
        with contextlib.suppress(*REDIS_UNAVAILABLE):
            if self._pubsub.connection is not None:
                await self._pubsub.connection.disconnect()

    async def _check_jobs(self) -> None:
        """Drop the readers of jobs that were lost with Redis's data: no event reports that."""
        earlier: set[Watch] = set()
        while True:
            await asyncio.sleep(self._check_s)
            try:
                # Not the newest watches: their jobs may not have been accepted yet.
                now = {watch for watch in self._all_watches() if watch.of_job}
                await self._drop_vanished(list(now & earlier))
                earlier = now
            except REDIS_UNAVAILABLE as error:
                log.debug("event feed: Redis is unavailable (%s)", type(error).__name__)
            except RedisError as error:
                trouble.met(error)
            except Exception:
                log.exception("event feed")

    async def _drop_vanished(self, watches: list[Watch]) -> None:
        for start in range(0, len(watches), _BATCH):
            batch = watches[start : start + _BATCH]
            async with self._redis.pipeline(transaction=False) as pipe:
                for watch in batch:
                    pipe.exists(self._keys.job(watch.job))
                for watch, exists in zip(batch, await pipe.execute(), strict=True):
                    if not exists:
                        watch.vanish()

    async def _distribute(self) -> None:
        """Subscribe and distribute, as long as the connection answers pings."""
        await self._pubsub.subscribe(self._inbox)
        is_pinged = False
        while True:
            message = await self._pubsub.get_message(timeout=_PONG_S if is_pinged else _IDLE_S)
            if message is not None:
                is_pinged = False
                self._dispatch(message)
            elif is_pinged:
                raise ConnectionError("no answer to a ping")
            else:
                await self._pubsub.ping()
                is_pinged = True

    def _dispatch(self, message: dict[str, Any]) -> None:
        if message["type"] == "message":
            job, event = Event.from_message(message["data"])
            name = job if message["channel"] == self._inbox else message["channel"]
            for watch in self._watches.get(name, ()):
                watch.deliver(event)
        elif message["type"] == "subscribe":
            self._confirmed(message["channel"])

    def _confirmed(self, channel: str) -> None:
        """A subscription is established, for the first time or after a reconnection."""
        if channel == self._inbox:
            self._connected.set()
            trouble.over(self._name)
            for watch in self._all_watches():
                watch.deliver(None)
        for watch in self._watches.get(channel, ()):
            if watch.subscribed.is_set():
                watch.deliver(None)
            watch.subscribed.set()
