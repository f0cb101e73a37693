"""One reader of a log: what it has read, and what it has not read yet."""

import asyncio
from typing import Final, Protocol

from shared.errors import OutcomeUnknown, PalaverError
from shared.store.connection import REDIS_UNAVAILABLE
from shared.wire.event import Event, order
from shared.wire.place import Place

_BUFFER: Final = 1000
"""How many events a reader may be behind before it is dropped; it may resume."""
_RETRY_S: Final = 1.0


class FeedLost(PalaverError):
    """No more events come although the job has not ended: resume after the last that arrived."""


class Log(Protocol):
    """Logs by name: those of jobs, or of owners' lists of conversations."""

    async def follow(self, name: str, after: str, /) -> list[Event]:
        """The events of a log after an id."""
        ...


class Watch:
    """One reader's view of one log.

    Args:
        job_id: whose log it is; an owner's id for a list of conversations.
        after: the log id after which to read.
        replay: whether the log may contain events already.
        queued: the `queued` event of a turn that waits.
        of_job: whether the log is lost when there is no such job.
        confirms_ends: whether the end of a turn is to be read from the log, which confirms it.
    """

    def __init__(
        self,
        job_id: str,
        events: Log,
        after: str | None,
        *,
        replay: bool,
        queued: Event | None = None,
        of_job: bool = True,
        confirms_ends: bool = False,
    ) -> None:
        self.job = job_id
        self.of_job = of_job
        self._events = events
        self._last = order(after) if after is not None else (0, 0)
        self._must_read_log = replay
        self._confirms_ends = confirms_ends
        self._news: list[Event | Place | None] = []
        self._has_news = asyncio.Event()
        self._queued = queued
        self._lost: str | None = None
        self.position = queued.position if queued is not None else None
        self.subscribed = asyncio.Event()

    def deliver(self, news: Event | Place | None) -> None:
        """Add news; None means that some may have been missed, so the log is read again."""
        if self._lost is not None:
            return
        if len(self._news) == _BUFFER:
            self._drop("the reader was too slow")
        else:
            self._news.append(news)
            self._has_news.set()

    def move(self, place: Place) -> None:
        """The turn waits at this place; its reader is told if that has changed."""
        if self.position is not None and self.position != place.position:
            self.position = place.position
            self.deliver(place)

    def stop(self) -> None:
        """This process stops: the reader resumes elsewhere."""
        self._drop("this server is stopping")

    def vanish(self) -> None:
        """The job no longer exists, and no event reports its end."""
        self._drop("the job is gone")

    def lock_out(self) -> None:
        """The reader's key was revoked."""
        self._drop("the key was revoked")

    def _drop(self, reason: str) -> None:
        self._lost = reason
        self._news.clear()
        self._has_news.set()

    async def events(self) -> list[Event]:
        """What is new, at least one event; may be cancelled without losing any.

        Raises:
            FeedLost: the reader was too slow, or this process stops.
        """
        while self._lost is None:
            if self._must_read_log:
                events = self._newer(await self._logged())
            elif self._news:
                events = self._events_of(self._news.pop(0))
            else:
                self._has_news.clear()
                await self._has_news.wait()
                continue
            if events and self._lost is None:
                self._mark_read(events[-1])
                return events
        raise FeedLost(self._lost)

    def _events_of(self, news: Event | Place | None) -> list[Event]:
        if isinstance(news, Event) and not (news.is_terminal and self._confirms_ends):
            return self._newer([news])
        if isinstance(news, Place):
            return self._moved(news)
        self._must_read_log = True
        return []

    def _newer(self, events: list[Event]) -> list[Event]:
        return [event for event in events if order(event.id) > self._last]

    def _moved(self, place: Place) -> list[Event]:
        # The turn may have started meanwhile, or the reader knows this place already.
        if self._queued is None or self._queued.position == place.position:
            return []
        return [self._queued.moved(place)]

    def _mark_read(self, last: Event) -> None:
        self._last = order(last.id)
        self._queued = last if last.kind == "queued" else None
        self.position = last.position

    async def _logged(self) -> list[Event]:
        try:
            events = await self._events.follow(self.job, f"{self._last[0]}-{self._last[1]}")
        except (*REDIS_UNAVAILABLE, OutcomeUnknown):
            # The feed may not have noticed: it would not deliver anything.
            await asyncio.sleep(_RETRY_S)
            return []
        self._must_read_log = False
        return events
