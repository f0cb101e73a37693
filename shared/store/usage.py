"""What owners have used of each model within a week."""

from typing import Final

from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.usage_row import DayOfUsage

_DAYS: Final = 7
"""As long as they are kept."""


class Usage:
    """Reads the rows that `lua/lib/usage.lua` keeps."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._call = Scripts(redis, keys, "usage").call

    async def week(self) -> list[DayOfUsage]:
        """The days on which anything was used, today first."""
        # One by one: a day's rows may be many, and others wait while they are read.
        days = [await self._day(back) for back in range(_DAYS)]
        return [day for day in days if day.rows]

    async def today(self) -> DayOfUsage:
        """What was used since midnight (UTC)."""
        return await self._day(0)

    async def _day(self, back: int) -> DayOfUsage:
        day, rows = await self._call("usage", back=back)
        return DayOfUsage.decode(int(day), rows)
