"""When this worker runs no turn, and what it does then."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from shared.process.tasks import end


class Idle:
    """Knows of each turn that begins and ends here; work that is done beside them gives way."""

    def __init__(self) -> None:
        self._num_turns = 0
        self._begins = asyncio.Event()
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def turn_begins(self) -> None:
        self._num_turns += 1
        self._is_idle.clear()
        self._begins.set()

    def turn_ended(self) -> None:
        self._num_turns -= 1
        if not self._num_turns:
            self._begins.clear()
            self._is_idle.set()

    @property
    def num_turns(self) -> int:
        """How many run."""
        return self._num_turns

    async def until_idle(self) -> None:
        await self._is_idle.wait()

    async def work(self, doing: Coroutine[Any, Any, None]) -> bool:
        """Do something; it is cancelled as soon as a turn begins.

        Returns:
            Whether it was done to its end.
        """
        task = asyncio.ensure_future(doing)
        begins = asyncio.ensure_future(self._begins.wait())
        try:
            await asyncio.wait((task, begins), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
                return True
            return False
        finally:
            await end(task, begins)
