"""The lists of conversations of versions before: brought up to date once in a while."""

import asyncio
import logging
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.store.keys import Keys
from shared.store.scripts import Scripts

log = logging.getLogger(__name__)

_EVERY_S: Final = 86_400
_AGAIN_S: Final = 5.0
_BATCH: Final = 200


class ListUpkeep:
    """Looks at all conversations, and puts each where it belongs in its owner's list.

    Versions before this kept no list without API keys, and with them one by age. Any process of
    such a version that still runs adds to that, so it is done at the start and once a day.
    """

    def __init__(self, redis: Redis, keys: Keys) -> None:
        self._redis = redis
        self._keys = keys
        self._call = Scripts(redis, keys, "enlist").call

    async def run(self) -> None:
        """Do it for as long as the process lives."""
        while True:
            try:
                await self.bring_up_to_date()
                await asyncio.sleep(_EVERY_S)
            except (*REDIS_UNAVAILABLE, RedisError) as error:
                trouble.met(error)
                await asyncio.sleep(_AGAIN_S)

    async def bring_up_to_date(self) -> None:
        """Do it, unless a process has done so within the last day."""
        if await self._redis.exists(self._keys.listed):
            return
        prefix, batch = self._keys.conversation(""), []
        async for name in self._redis.scan_iter(f"{prefix}*", count=1_000):
            conversation_id = name.removeprefix(prefix)
            if conversation_id.isdigit():
                batch.append(conversation_id)
            if len(batch) == _BATCH:
                await self._call("enlist", conversations=" ".join(batch))
                batch.clear()
        if batch:
            await self._call("enlist", conversations=" ".join(batch))
        await self._redis.set(self._keys.listed, "1", ex=_EVERY_S - 60)
