"""What owners have used of each model within a week."""

from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.usage_row import DayOfUsage


class Usage:
    """Reads the counters that `lua/lib/usage.lua` keeps."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._call = Scripts(redis, keys, "usage").call

    async def week(self) -> list[DayOfUsage]:
        """The days on which anything was used, today first."""
        return [DayOfUsage.decode(day, counters) for day, counters in await self._call("usage")]
