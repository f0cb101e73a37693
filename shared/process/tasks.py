"""Background tasks, and how they end."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from shared.errors import TaskEnded

log = logging.getLogger(__name__)

_AGAIN_S: Final = 0.1

Endless = Callable[[], Coroutine[Any, Any, None]]


async def end(*tasks: "asyncio.Task[Any]") -> None:
    """Cancel tasks, and return when they have ended; their exceptions are dropped.

    Cancels repeatedly: before Python 3.12 `asyncio.wait_for`, which redis-py uses for every
    command, loses a cancellation that arrives just after the command was sent.
    """
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


async def run_together(
    main: Coroutine[Any, Any, None], *helpers: Coroutine[Any, Any, None]
) -> None:
    """Return when `main` has ended; helpers may end before, and are ended with it.

    Unlike a group of tasks it cancels as often as it takes (`end`). Itself it can be cancelled
    once: who does so again leaves tasks behind that have not ended yet.

    Raises:
        ExceptionGroup: of all that failed; the first failure has ended the others.
    """
    tasks = [asyncio.create_task(each) for each in (main, *helpers)]
    pending = set(tasks)
    try:
        while tasks[0] in pending and not _failures(tasks):
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks)
    if failures := _failures(tasks):
        raise ExceptionGroup("a task has failed", failures)


def _failures(tasks: Sequence["asyncio.Task[None]"]) -> list[Exception]:
    ended = (task for task in tasks if task.done() and not task.cancelled())
    return [error for task in ended if isinstance(error := task.exception(), Exception)]


class Background:
    """Tasks that run as long as their process: if one of them ends, the process must end.

    A process that ends is restarted; one with a part that died silently is not.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ended = asyncio.Event()
        self._may_end = False
        self.failure: TaskEnded | None = None
        """The first task that ended by itself, if one has."""

    def start(self, name: str, run: Endless) -> None:
        """Start a task that is not supposed to end."""
        task = asyncio.create_task(run(), name=name)
        task.add_done_callback(self._task_ended)
        self._tasks[name] = task

    def _task_ended(self, task: "asyncio.Task[None]") -> None:
        # An unexpected cancellation counts as an end, too.
        error = None if task.cancelled() else task.exception()
        if self._may_end or self.failure is not None:
            return
        name = task.get_name()
        log.critical("the task %r has ended, and this process ends with it", name, exc_info=error)
        self.failure = TaskEnded(name)
        self.failure.__cause__ = error
        self._ended.set()

    async def until_failed(self) -> TaskEnded:
        """Return when a task has ended."""
        await self._ended.wait()
        assert self.failure is not None
        return self.failure

    def let_end(self) -> None:
        """From now on a task may end, as the process is stopping."""
        self._may_end = True

    async def ended(self, name: str) -> None:
        """Return when this task has ended by itself."""
        await asyncio.wait({self._tasks[name]})

    async def close(self) -> None:
        """Cancel all tasks, and return when they have ended."""
        self.let_end()
        await end(*self._tasks.values())
