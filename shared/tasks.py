"""Tasks in the background, and how they end."""

import asyncio
from collections.abc import Callable, Coroutine
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


class Background:
    """One task that runs from `start` to `close`.

    Args:
        run: what it does; on its own it does not end.
    """

    def __init__(self, run: Callable[[], Coroutine[Any, Any, None]], name: str) -> None:
        self._run = run
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def close(self) -> None:
        """End it; nothing is done if it was not begun."""
        if self._task is not None:
            await end(self._task)
