"""Writes that must arrive: repeated while Redis is away or short of memory."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.exceptions import OutOfMemoryError

from shared.redis import AWAY

log = logging.getLogger(__name__)

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


async def persist(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Repeat an idempotent call until Redis has answered it; generation goes on meanwhile."""
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            return await call()
        except (*AWAY, OutOfMemoryError) as error:
            log.warning("%s: Redis is away (%s); trying again", what, type(error).__name__)
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
