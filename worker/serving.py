"""How a worker serves, drains and stops."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from redis.exceptions import RedisError

from shared.process.tasks import Background, Endless, end
from worker.heartbeat import Heartbeat
from worker.notices import Notices
from worker.publisher import Publisher
from worker.queue_keeper import QueueKeeper
from worker.registration import Registration
from worker.running_turn import RunningTurns
from worker.stream_worker import StreamWorker
from worker.summaries.folding import Folding

log = logging.getLogger(__name__)

_TOGETHER_S: Final = 1.0
"""How much longer than the first cell others may take to be joined at the start."""
_LAST_WRITES_S: Final = 3.0
"""Time for the last writes of a process that stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellParts:
    """What a worker has in each of its cells.

    Args:
        cell: which one.
        of: what names of its tasks end with.
        folding: makes summaries; None if the model writes no text.
    """

    cell: int
    of: str
    publisher: Publisher
    heartbeat: Heartbeat
    notices: Notices
    keeper: QueueKeeper
    registration: Registration
    folding: Folding | None

    def start(self, background: Background) -> None:
        """Run all of it."""
        background.start(f"queue{self.of}", self.keeper.run)
        background.start(f"publisher{self.of}", self.publisher.run)
        background.start(f"heartbeat{self.of}", self.heartbeat.run)
        background.start(f"notices{self.of}", self.notices.run)
        if self.folding is not None:
            background.start(f"summaries{self.of}", self.folding.run)

    async def drain(self, background: Background) -> None:
        """Keep the queue no more, and take no more turns of it."""
        async with _last_writes(_LAST_WRITES_S):
            await self.registration.drain()
        await background.ended(f"queue{self.of}")

    async def leave(self) -> None:
        """Be no longer one of its workers."""
        async with _last_writes(_LAST_WRITES_S):
            await self.registration.leave()


Join = Callable[[], Coroutine[Any, Any, bool]]
"""Becomes one of a cell's workers; False if the process is to stop before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What runs as long as the process, and the turns that run in it.

    Args:
        cells: from which it takes turns.
        listeners: what hears the bells of these cells, where the worker itself does not.
        waiting: cells that it could not join yet.
        drained: set when somebody wants this worker to drain.
    """

    worker: StreamWorker
    cells: Sequence[CellParts]
    listeners: Mapping[int, Endless]
    waiting: dict[int, Join]
    running: RunningTurns
    drained: asyncio.Event

    @property
    def joined(self) -> Sequence[CellParts]:
        """The cells whose worker it is."""
        return [cell for cell in self.cells if cell.cell not in self.waiting]

    def start(self, cell: CellParts, background: Background) -> None:
        """Serve a cell."""
        cell.start(background)
        if cell.cell in self.listeners:
            background.start(f"bells {cell.cell}", self.listeners[cell.cell])

    async def join(self, cell: CellParts, background: Background) -> None:
        """Serve a cell as soon as that is possible; never ends."""
        if await self.waiting[cell.cell]():
            del self.waiting[cell.cell]
            self.start(cell, background)
        await asyncio.Event().wait()


async def serve(parts: Parts, stopping: asyncio.Event, grace_s: float) -> bool:
    """Run until told to stop or to drain, or until a part dies; hand over what still runs then.

    Returns:
        Whether it was to drain.

    Raises:
        TaskEnded: a part has died.
    """
    background = Background()
    for cell in parts.joined:
        parts.start(cell, background)
    for cell in parts.cells:
        if cell.cell in parts.waiting:
            background.start(f"join {cell.cell}", partial(parts.join, cell, background))
    background.start("turns", parts.worker.async_run)
    is_drained = False
    try:
        await _until_stopped(parts.drained, stopping, background)
        is_drained = parts.drained.is_set()  # later its own report says so, too
    finally:
        background.let_end()
        log.info("%s with %d turns", "draining" if is_drained else "stopping", len(parts.running))
        await _stop(parts, background, grace_s)
    if background.failure is not None:
        raise background.failure
    return is_drained


async def _until_stopped(
    drained: asyncio.Event, stopping: asyncio.Event, background: Background
) -> None:
    ends = (
        asyncio.create_task(drained.wait(), name="to drain"),
        asyncio.create_task(stopping.wait(), name="told to stop"),
        asyncio.create_task(background.until_failed(), name="a part has died"),
    )
    try:
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*ends)


async def _stop(parts: Parts, background: Background, grace_s: float) -> None:
    """Hand over and leave; what Redis does not take is missed by the others after a lease."""
    joined = parts.joined
    for cell in joined:
        cell.keeper.stop()
    try:
        # The heart beats on until everything is handed over.
        async with _last_writes(grace_s + _LAST_WRITES_S):
            await asyncio.gather(*(cell.drain(background) for cell in joined))
            await parts.worker.drain(grace_s)
        await background.close()
        await asyncio.gather(*(cell.leave() for cell in joined))
    finally:
        async with _last_writes(_LAST_WRITES_S):
            await parts.worker.close()


@contextlib.asynccontextmanager
async def _last_writes(longest_s: float) -> AsyncIterator[None]:
    """A stop goes on without what Redis refuses, or does not answer within this time."""
    try:
        async with asyncio.timeout(longest_s):
            yield
    except (TimeoutError, RedisError, OSError) as error:
        log.warning("while stopping: %s", str(error) or "Redis does not answer")


async def join_some(joins: Mapping[int, Join]) -> list[int]:
    """Join cells until one is joined, and all others that can be joined about as soon.

    Returns:
        Which were; none if the process is to stop before.

    Raises:
        ConfigError: one cannot be.
    """
    tasks = {asyncio.create_task(join(), name=f"join {cell}"): cell for cell, join in joins.items()}
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if not any(task.exception() for task in done):
            done, _ = await asyncio.wait(tasks, timeout=_TOGETHER_S)
        return sorted(tasks[task] for task in done if task.result())
    finally:
        await end(*tasks)
