"""One reader of one job's events: what it has heard, what it has not, and that it keeps up."""

import asyncio
from typing import Final

from shared.store.connection import REDIS_UNAVAILABLE
from shared.store.event_log import EventLog
from shared.wire.event import Event, order
from shared.wire.place import Place

_BUFFER: Final = 1000
"""What a reader may be behind before it is dropped; it may resume."""
_AGAIN_S: Final = 1.0


class FeedLost(Exception):
    """No more events come, although the job has not ended: resume behind the last that arrived."""


class Watch:
    """One reader's view of one job.

    Args:
        after: the log id behind which to read.
        replay: whether the log may hold something already.
        queued: where the turn waits, if it does.
    """

    def __init__(
        self,
        job_id: str,
        events: EventLog,
        after: str | None,
        *,
        replay: bool,
        queued: Event | None = None,
    ) -> None:
        self.job = job_id
        self._events = events
        self._last = order(after) if after is not None else (0, 0)
        self._behind = replay
        self._news: list[Event | Place | None] = []
        self._rung = asyncio.Event()
        self._queued = queued
        self._lost: str | None = None
        self.position = queued.position if queued is not None else None
        self.subscribed = asyncio.Event()

    def ring(self, news: Event | Place | None) -> None:
        """Something new; None means that something may have been missed."""
        if self._lost is not None:
            return
        if len(self._news) == _BUFFER:
            self._drop("the reader was too slow")
        else:
            self._news.append(news)
            self._rung.set()

    def move(self, place: Place) -> None:
        """The turn waits at this place; its reader hears of it if it is another than before."""
        if self.position is not None and self.position != place.position:
            self.position = place.position
            self.ring(place)

    def stop(self) -> None:
        """This process stops: the reader goes on elsewhere."""
        self._drop("this server stops")

    def vanish(self) -> None:
        """The job does not exist any more, and nothing tells of its end."""
        self._drop("the job is gone")

    def _drop(self, why: str) -> None:
        self._lost = why
        self._news.clear()
        self._rung.set()

    async def events(self) -> list[Event]:
        """What is new, at least one event; may be cancelled without losing any.

        Raises:
            FeedLost: the reader was too slow, or this process stops.
        """
        while self._lost is None:
            if self._behind:
                found = self._newer(await self._missed())
            elif self._news:
                found = self._heard(self._news.pop(0))
            else:
                self._rung.clear()
                await self._rung.wait()
                continue
            if found and self._lost is None:
                self._told(found[-1])
                return found
        raise FeedLost(self._lost)

    def _heard(self, news: Event | Place | None) -> list[Event]:
        if isinstance(news, Event):
            return self._newer([news])
        if isinstance(news, Place):
            return self._moved(news)
        self._behind = True
        return []

    def _newer(self, events: list[Event]) -> list[Event]:
        return [event for event in events if order(event.id) > self._last]

    def _moved(self, place: Place) -> list[Event]:
        # It may have started meanwhile, or the reader has heard of this place already.
        if self._queued is None or self._queued.position == place.position:
            return []
        return [self._queued.moved(place)]

    def _told(self, last: Event) -> None:
        self._last = order(last.id)
        self._queued = last if last.kind == "queued" else None
        self.position = last.position

    async def _missed(self) -> list[Event]:
        try:
            found = await self._events.read(self.job, f"{self._last[0]}-{self._last[1]}")
        except REDIS_UNAVAILABLE:
            # The feed itself may not have noticed anything: nobody would tell us again.
            await asyncio.sleep(_AGAIN_S)
            return []
        self._behind = False
        return found
