"""How a worker serves, drains and stops."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError

from shared.process.tasks import Background, Endless, end
from worker.heartbeat import Heartbeat
from worker.notices import Notices
from worker.publisher import Publisher
from worker.queue_keeper import QueueKeeper
from worker.registration import Registration
from worker.running_turn import RunningTurns
from worker.stream_worker import StreamWorker

log = logging.getLogger(__name__)

_LAST_WRITES_S: Final = 3.0
"""Time for the last writes of a process that stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellParts:
    """What a worker has in each of its cells.

    Args:
        cell: which one.
    """

    cell: int
    publisher: Publisher
    heartbeat: Heartbeat
    notices: Notices
    keeper: QueueKeeper
    registration: Registration

    def start(self, background: Background) -> None:
        """Run all of it."""
        background.start(f"queue {self.cell}", self.keeper.run)
        background.start(f"publisher {self.cell}", self.publisher.run)
        background.start(f"heartbeat {self.cell}", self.heartbeat.run)
        background.start(f"notices {self.cell}", self.notices.run)

    async def drain(self, background: Background) -> None:
        """Keep the queue no more, and take no more turns of it."""
        async with _last_writes(_LAST_WRITES_S):
            await self.registration.drain()
        await background.ended(f"queue {self.cell}")

    async def leave(self) -> None:
        """Be no longer one of its workers."""
        async with _last_writes(_LAST_WRITES_S):
            await self.registration.leave()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What runs as long as the process, and the turns that run in it.

    Args:
        listeners: what else the worker needs to hear its bells.
        cells: from which it takes turns.
        drained: set when somebody wants this worker to drain.
    """

    worker: StreamWorker
    listeners: Mapping[str, Endless]
    cells: Sequence[CellParts]
    running: RunningTurns
    drained: asyncio.Event


async def serve(parts: Parts, stopping: asyncio.Event, grace_s: float) -> bool:
    """Run until told to stop or to drain, or until a part dies; hand over what still runs then.

    Returns:
        Whether it was to drain.

    Raises:
        TaskEnded: a part has died.
    """
    background = Background()
    for cell in parts.cells:
        cell.start(background)
    for name, listen in parts.listeners.items():
        background.start(name, listen)
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
    for cell in parts.cells:
        cell.keeper.stop()
    try:
        # The heart beats on until everything is handed over.
        async with _last_writes(grace_s + _LAST_WRITES_S):
            await asyncio.gather(*(cell.drain(background) for cell in parts.cells))
            await parts.worker.drain(grace_s)
        await background.close()
        await asyncio.gather(*(cell.leave() for cell in parts.cells))
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
