"""What an API process listens to and looks at, in all cells of a namespace."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

from api.live.feed import EventFeed
from api.live.headroom import Headroom, Lack, refusal_of
from api.live.places import Places
from api.live.watch import Watch
from shared.cells import Cells
from shared.process.tasks import Background, end
from shared.store.all_cells import AllListLogs, shortly_before
from shared.store.routed import Routed
from shared.wire.event import Event


class _AllFeeds(Routed[EventFeed]):
    @property
    def api_id(self) -> str:
        """The name of the inbox in each cell."""
        return self.parts[0].api_id

    def start(self, background: Background) -> None:
        """Listen; connects to each cell as soon as that is available."""
        for cell, part in enumerate(self.parts):
            part.start(background, f" {cell}")

    async def close(self) -> None:
        """Close the connections, after the tasks have ended."""
        for part in self.parts:
            await part.close()

    def stop_readers(self) -> None:
        """End every wait, now and from now on."""
        for part in self.parts:
            part.stop_readers()

    @asynccontextmanager
    async def watch_list(
        self, owner_id: str, changes: AllListLogs, after: str
    ) -> AsyncIterator["Watch | _WatchOfSeveral"]:
        """Watch the changes of an owner's list, in all cells that it is in.

        Raises:
            redis.exceptions.ConnectionError: Redis is unavailable.
        """
        spread = self.cells.spread_of(owner_id)
        async with AsyncExitStack() as held:
            watches = [
                await held.enter_async_context(
                    self.parts[cell].watch_list(
                        owner_id,
                        changes.parts[cell],
                        after if len(spread) == 1 else shortly_before(after),
                    )
                )
                for cell in spread
            ]
            if len(watches) == 1:
                yield watches[0]
                return
            together = _WatchOfSeveral(watches)
            held.push_async_callback(together.close)
            yield together


class _WatchOfSeveral:
    """What any of several watches hears."""

    def __init__(self, watches: Sequence[Watch]) -> None:
        self._idle = list(watches)
        self._hearing: dict[asyncio.Task[list[Event]], Watch] = {}

    async def events(self) -> list[Event]:
        """What is new, at least one event; may be cancelled without losing any.

        Raises:
            FeedLost: one of them hears no more.
        """
        for watch in self._idle:
            self._hearing[asyncio.create_task(watch.events(), name="list")] = watch
        self._idle.clear()
        done, _ = await asyncio.wait(self._hearing, return_when=asyncio.FIRST_COMPLETED)
        self._idle += [self._hearing.pop(task) for task in done]
        return [event for heard in await asyncio.gather(*done) for event in heard]

    async def close(self) -> None:
        """Hear no more."""
        await end(*self._hearing)


class _AllPlaces(Routed[Places]):
    async def run(self) -> None:
        """Look up until cancelled, in each cell by itself: one that is away delays no other."""
        await _together(part.run() for part in self.parts)


class _AllHeadrooms:
    """Something may be stored while a cell takes it; others refuse it themselves."""

    def __init__(self, parts: Sequence[Headroom]) -> None:
        self._parts = parts

    @property
    def lack(self) -> Lack | None:
        """Why prompts are refused everywhere; None if they are not."""
        lacks = [part.lack for part in self._parts]
        return None if None in lacks else lacks[0]

    @property
    def memory_share(self) -> float | None:
        """Of the limit of the server that is fullest; None if none has one, or is known."""
        return max((part.memory_share or 0 for part in self._parts), default=0) or None

    def check(self) -> None:
        """Check that something new may be stored.

        Raises:
            MemoryShort, ReadOnlyRedis: it may not, in any cell.
        """
        if self.lack is not None:
            raise refusal_of(self.lack)

    async def run(self) -> None:
        """Check until cancelled."""
        await _together(part.run() for part in self._parts)


async def _together(runs: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run until cancelled. Unlike a group of tasks it can be cancelled again (`tasks.end`)."""
    await asyncio.gather(*runs)


def all_feeds(cells: Cells, parts: Sequence[EventFeed]) -> EventFeed:
    """The feeds of all cells as one."""
    return parts[0] if len(parts) == 1 else cast(EventFeed, _AllFeeds(cells, parts))


def all_places(cells: Cells, parts: Sequence[Places]) -> Places:
    """The places in all cells' queues as one."""
    return parts[0] if len(parts) == 1 else cast(Places, _AllPlaces(cells, parts))


def all_headrooms(parts: Sequence[Headroom]) -> Headroom:
    """The headroom of all cells as one."""
    return parts[0] if len(parts) == 1 else cast(Headroom, _AllHeadrooms(parts))
