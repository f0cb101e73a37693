"""Writes that must arrive: repeated while Redis is away or short of memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.exceptions import RedisError

from shared.store.connection import trouble, will_pass

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


async def retry(what: str, call: Callable[[], Awaitable[T]]) -> T:
    """Repeat an idempotent call until Redis has answered it; generation goes on meanwhile."""
    pause_s = _FIRST_PAUSE_S
    try:
        while True:
            try:
                return await call()
            except (RedisError, OSError) as error:
                if not will_pass(error):
                    raise
                trouble.met(error, what)
                await asyncio.sleep(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
    finally:
        trouble.over(what)
