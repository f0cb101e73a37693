"""What an API process listens to and looks at, in all cells of a namespace."""

import asyncio
from collections.abc import Sequence
from typing import cast

from api.live.feed import EventFeed
from api.live.headroom import Headroom, Lack, refusal_of
from api.live.places import Places
from shared.process.tasks import Background
from shared.store.cells import Cells
from shared.store.routed import Routed


class _AllFeeds(Routed[EventFeed]):
    @property
    def api_id(self) -> str:
        """The name of the inbox in each cell."""
        return self.parts[0].api_id

    def start(self, background: Background) -> None:
        """Listen; connects to each cell as soon as that is available."""
        for part in self.parts:
            part.start(background)

    async def close(self) -> None:
        """Close the connections, after the tasks have ended."""
        for part in self.parts:
            await part.close()

    def stop_readers(self) -> None:
        """End every wait, now and from now on."""
        for part in self.parts:
            part.stop_readers()


class _AllPlaces(Routed[Places]):
    async def run(self) -> None:
        """Look up until cancelled, in each cell by itself: one that is away delays no other."""
        async with asyncio.TaskGroup() as group:
            for part in self.parts:
                group.create_task(part.run())


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
        async with asyncio.TaskGroup() as group:
            for part in self._parts:
                group.create_task(part.run())


def all_feeds(cells: Cells, parts: Sequence[EventFeed]) -> EventFeed:
    """The feeds of all cells as one."""
    return parts[0] if len(parts) == 1 else cast(EventFeed, _AllFeeds(cells, parts))


def all_places(cells: Cells, parts: Sequence[Places]) -> Places:
    """The places in all cells' queues as one."""
    return parts[0] if len(parts) == 1 else cast(Places, _AllPlaces(cells, parts))


def all_headrooms(parts: Sequence[Headroom]) -> Headroom:
    """The headroom of all cells as one."""
    return parts[0] if len(parts) == 1 else cast(Headroom, _AllHeadrooms(parts))
