"""Calls that must succeed: retried while Redis is unavailable or short of memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from redis.exceptions import RedisError

from shared.store.connection import trouble, will_pass

T = TypeVar("T")

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0


async def retry(name: str, call: Callable[[], Awaitable[T]]) -> T:
    """Repeat an idempotent call until Redis has answered it.

    Args:
        name: tells apart what is being retried (`shared.process.logs.Trouble`).

    Raises:
        RedisError: Redis refuses the call, however often it is made.
    """
    pause_s = _FIRST_PAUSE_S
    try:
        while True:
            try:
                return await call()
            except (RedisError, OSError) as error:
                if not will_pass(error):
                    raise
                trouble.met(error, name)
                await asyncio.sleep(pause_s)
                pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
    finally:
        trouble.over(name)
