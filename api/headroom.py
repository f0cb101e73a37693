"""Room in Redis: prompts are refused while what was accepted can still be written."""

import asyncio
import logging
from typing import Final

from redis.asyncio import Redis

from shared.errors import MemoryShort
from shared.redis import AWAY
from shared.tasks import Background

log = logging.getLogger(__name__)

_EVERY_S: Final = 1.0
_SHARE: Final = 0.05
_LEAST_BYTES: Final = 16 << 20
_MOST_SHARE: Final = 0.25


def reserve(max_bytes: int) -> int:
    """Bytes kept for turns under way: 5 % of the limit or 16 MiB, of a small limit a quarter."""
    return int(max(_SHARE * max_bytes, min(_LEAST_BYTES, _MOST_SHARE * max_bytes)))


class Headroom:
    """Looks every second how much memory Redis has left."""

    def __init__(self, redis: Redis, *, every_s: float = _EVERY_S) -> None:
        self._redis = redis
        self._every_s = every_s
        self._is_short = False
        self.looking = Background(self._run, "headroom")

    def check(self) -> None:
        """Raises: MemoryShort, what is left is kept for turns that were accepted before."""
        if self._is_short:
            raise MemoryShort("Redis is short of memory")

    async def _run(self) -> None:
        while True:
            try:
                await self._look()
            except AWAY as error:
                log.debug("headroom: Redis is away (%s)", type(error).__name__)
            except Exception:
                log.exception("headroom")
            await asyncio.sleep(self._every_s)

    async def _look(self) -> None:
        memory = await self._redis.info("memory")
        limit = int(memory.get("maxmemory", 0))
        is_short = limit > 0 and int(memory["used_memory"]) > limit - reserve(limit)
        if is_short and not self._is_short:
            log.warning("Redis is short of memory: new prompts are refused")
        self._is_short = is_short
