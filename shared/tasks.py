"""Ending tasks."""

import asyncio
from typing import Any, Final

_AGAIN_S: Final = 0.1


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks, and return when they have ended; what they raise is dropped.

    Again and again: until Python 3.12 `asyncio.wait_for`, through which redis-py sends every
    command, drops a cancellation that comes when the command has just been sent.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
