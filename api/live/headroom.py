"""Whether Redis accepts writes: prompts are refused while accepted turns can still be written."""

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
    """Bytes kept for accepted turns: 5 % of the limit or 16 MiB, but at most a quarter of it."""
    return int(max(_SHARE * max_bytes, min(_LEAST_BYTES, _MOST_SHARE * max_bytes)))


def refusal_of(lack: Lack) -> Refused:
    """The error for a prompt that is refused."""
    kind = MemoryShort if lack in ("memory", "disk") else ReadOnlyRedis
    return kind(_TEXTS[lack])


class Headroom:
    """Checks every second whether Redis would accept a write, and how much memory it has left.

    Prompts are refused and `/readyz` fails for the same reason.
    """

    def __init__(self, redis: Redis, keys: Keys, *, every_s: float = _EVERY_S) -> None:
        self._redis = redis
        self._probe = keys.probe
        self._every_s = every_s
        self.lack: Lack | None = None
        """Why prompts are refused; None if they are not."""
        self.is_known = False
        """Whether Redis answered when it was asked last."""
        self.memory_share: float | None = None
        """Of Redis's limit that is used; None if it has none, or is not known."""

    def check(self) -> None:
        """Check that something new may be stored.

        Raises:
            MemoryShort: what is left is kept for turns that were accepted before.
            ReadOnlyRedis: nothing can be written at all.
        """
        if self.lack is not None:
            raise refusal_of(self.lack)

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            try:
                await self.refresh()
                self.is_known = True
            except REDIS_UNAVAILABLE as error:
                self.is_known = False
                log.debug("headroom: Redis is unavailable (%s)", type(error).__name__)
            except RedisError as error:
                trouble.met(error)
            await asyncio.sleep(self._every_s)

    async def refresh(self) -> None:
        """Check once.

        Raises:
            RedisError: Redis does not answer.
        """
        lack = await self._write_refused() or await self._memory_short()
        if lack is not None and lack != self.lack:
            log.warning("%s: new prompts are refused", _TEXTS[lack])
        if lack is None and self.lack is not None:
            log.warning("Redis accepts prompts again")
        self.lack = lack

    async def _write_refused(self) -> Lack | None:
        """Try a write that changes nothing, and is refused whenever a prompt's would be.

        It creates no key and adds nothing to the append-only file.
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
        used = int(memory["used_memory"])
        self.memory_share = used / limit if limit > 0 else None
        is_short = limit > 0 and used > limit - reserve(limit)
        return "memory" if is_short else None
