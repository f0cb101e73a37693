"""How a worker serves, drains and stops."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from redis.exceptions import RedisError

from shared.process.tasks import Background, end
from worker.heartbeat import Heartbeat
from worker.notices import Notices
from worker.publisher import Publisher
from worker.queue_keeper import QueueKeeper
from worker.registration import Registration
from worker.running_turn import RunningTurns
from worker.stream_worker import StreamWorker
from worker.summaries.folding import Folding

log = logging.getLogger(__name__)

_LAST_WRITES_S: Final = 3.0
"""Time for the last writes of a process that stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What runs as long as the process, and the turns that run in it.

    Args:
        folding: makes summaries; None if the model writes no text.
        drained: set when somebody wants this worker to drain.
    """

    worker: StreamWorker
    publisher: Publisher
    heartbeat: Heartbeat
    notices: Notices
    keeper: QueueKeeper
    registration: Registration
    folding: Folding | None
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
    background.start("queue", parts.keeper.run)
    background.start("publisher", parts.publisher.run)
    background.start("heartbeat", parts.heartbeat.run)
    background.start("notices", parts.notices.run)
    background.start("turns", parts.worker.async_run)
    if parts.folding is not None:
        background.start("summaries", parts.folding.run)
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
    parts.keeper.stop()
    try:
        # The heart beats on until everything is handed over.
        async with _last_writes(grace_s + _LAST_WRITES_S):
            async with _last_writes(_LAST_WRITES_S):
                await parts.registration.drain()
            await background.ended("queue")
            await parts.worker.drain(grace_s)
        await background.close()
        async with _last_writes(_LAST_WRITES_S):
            await parts.registration.leave()
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
