"""What has changed in owners' lists of conversations within the last five minutes."""

from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.store.scripts import Scripts
from shared.wire.event import Event


class ListLog:
    """Reads the logs of lists; each event is `created`, `changed`, `deleted` or `reset`."""

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._call = Scripts(redis, keys, "changes").call

    async def position(self, owner_id: str) -> str:
        """The log id behind which changes are new."""
        return str(await self._call("changes", owner=owner_id))

    async def follow(self, owner_id: str, after: str) -> list[Event]:
        """Changes after a log id; one `reset` alone where they are not known any more."""
        rows = await self._call("changes", owner=owner_id, after=after)
        return [Event(id=row[0], kind=row[1], data=row[2]) for row in rows]
