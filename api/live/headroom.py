"""Whether Redis takes prompts: they are refused while what was accepted can still be written."""

import asyncio
import logging
from typing import Final, Literal

from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError

from shared.errors import MemoryShort, ReadOnlyRedis, Refused
from shared.store.connection import REDIS_UNAVAILABLE, trouble
from shared.store.keys import Keys

log = logging.getLogger(__name__)

_EVERY_S: Final = 1.0
_SHARE: Final = 0.05
_LEAST_BYTES: Final = 16 << 20
_MOST_SHARE: Final = 0.25

Lack = Literal["memory", "disk", "primary", "replicas"]

_TEXTS: Final[dict[Lack, str]] = {
    "memory": "Redis is short of memory",
    "disk": "Redis cannot write to its disk",
    "primary": "Redis is a read-only replica",
    "replicas": "Redis has too few replicas to take writes",
}


def reserve(max_bytes: int) -> int:
    """Bytes kept for turns under way: 5 % of the limit or 16 MiB, of a small limit a quarter."""
    return int(max(_SHARE * max_bytes, min(_LEAST_BYTES, _MOST_SHARE * max_bytes)))


class Headroom:
    """Asks every second whether Redis would take a write, and how much memory it has left.

    The intake and `/readyz` go by the same answer.
    """

    def __init__(self, redis: Redis, keys: Keys, *, every_s: float = _EVERY_S) -> None:
        self._redis = redis
        self._probe = keys.probe
        self._every_s = every_s
        self.lack: Lack | None = None
        """Why prompts are refused, if they are."""

    def check(self) -> None:
        """See that a prompt may be submitted.

        Raises:
            MemoryShort: what is left is kept for turns that were accepted before.
            ReadOnlyRedis: nothing can be written at all.
        """
        if (error := self.refusal) is not None:
            raise error

    @property
    def refusal(self) -> Refused | None:
        """What a prompt is told, if it is refused."""
        if self.lack is None:
            return None
        kind = MemoryShort if self.lack in ("memory", "disk") else ReadOnlyRedis
        return kind(_TEXTS[self.lack])

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except REDIS_UNAVAILABLE as error:
                log.debug("headroom: Redis is away (%s)", type(error).__name__)
            except RedisError as error:
                trouble.met(error)
            await asyncio.sleep(self._every_s)

    async def look(self) -> None:
        """Judge anew.

        Raises:
            RedisError: Redis does not answer.
        """
        lack = await self._write_refused() or await self._memory_short()
        if lack is not None and lack != self.lack:
            log.warning("%s: new prompts are refused", _TEXTS[lack])
        if lack is None and self.lack is not None:
            log.warning("Redis takes prompts again")
        self.lack = lack

    async def _write_refused(self) -> Lack | None:
        """By a write that changes nothing, and is refused whenever a prompt's would be.

        It makes no key, and nothing of it reaches the append-only file.
        """
        try:
            await self._redis.setrange(self._probe, 0, "")
        except OutOfMemoryError:
            return "memory"
        except ReadOnlyError:
            return "primary"
        except ResponseError as error:
            first_word = str(error).partition(" ")[0]
            reasons: dict[str, Lack] = {"MISCONF": "disk", "NOREPLICAS": "replicas"}
            return reasons.get(first_word)
        return None

    async def _memory_short(self) -> Lack | None:
        memory = await self._redis.info("memory")
        limit = int(memory.get("maxmemory", 0))
        is_short = limit > 0 and int(memory["used_memory"]) > limit - reserve(limit)
        return "memory" if is_short else None
