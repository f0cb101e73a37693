"""All parts of a worker process, put together on one page."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from shared.config import Settings
from shared.keys import Keys
from shared.redis import AWAY, connect, wait_until_up
from shared.turns import Turns
from worker.emitter import Emitter
from worker.engine.interface import Engine
from worker.heartbeat import Heartbeat
from worker.losses import Losses
from worker.persistence import persist
from worker.recovery import Recovery
from worker.reply import Replier
from worker.stream_worker import StreamWorker

log = logging.getLogger(__name__)

_CANCEL_AGAIN_S: Final = 0.5
_HAND_OVER_S: Final = 3.0
"""Time for the last writes of a process that stops."""


def new_worker_id() -> str:
    """Host, process and a random part: a consumer name that is never used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


async def run_worker(settings: Settings, engine: Engine, stopping: asyncio.Event) -> None:
    """Serve turns until `stopping` is set.

    Args:
        engine: closed at the end.
    """
    keys = Keys(settings.namespace)
    redis = connect(settings)
    if not await wait_until_up(redis, stopping):
        return
    turns = Turns(redis, keys, settings)
    await turns.ensure_group()
    emitter = Emitter(turns)
    worker = StreamWorker(
        redis=redis,
        keys=keys,
        turns=turns,
        replier=Replier(
            turns,
            engine,
            emitter,
            window=settings.context_length,
            trim_to=settings.trim_to,
            max_tokens=settings.max_tokens,
        ),
        worker_id=new_worker_id(),
        slots=min(settings.slots, engine.slots),
    )
    heartbeat = Heartbeat(
        turns,
        engine,
        worker.holdings,
        worker_id=worker.worker_id,
        interval_s=settings.heartbeat,
    )
    losses = Losses(redis, keys, turns, worker.holdings, worker.worker_id)
    recovery = Recovery(redis, turns, worker, lease_s=settings.lease)
    try:
        parts = {
            "emitter": emitter.run,
            "heartbeat": heartbeat.run,
            "losses": losses.run,
            "permits": worker.async_run,
        }
        await persist("announce", heartbeat.announce)
        log.info("worker %s is ready", worker.worker_id)
        await _serve(worker, turns, recovery, parts, stopping, settings.grace)
    finally:
        await engine.close()
        await redis.aclose(close_connection_pool=True)


async def _serve(
    worker: StreamWorker,
    turns: Turns,
    recovery: Recovery,
    parts: Mapping[str, Callable[[], Coroutine[Any, Any, None]]],
    stopping: asyncio.Event,
    grace_s: float,
) -> None:
    """Run until told to stop; a part that fails ends the process with its error.

    Either way the turns that still run are handed over.
    """
    recovering = asyncio.create_task(recovery.run(), name="recovery")
    running = [asyncio.create_task(part(), name=name) for name, part in parts.items()]
    running.append(recovering)
    told = asyncio.create_task(stopping.wait(), name="stopping")
    try:
        done, _ = await asyncio.wait({told, *running}, return_when=asyncio.FIRST_COMPLETED)
        if told not in done:
            raise next(iter(done)).exception() or RuntimeError("a part of the worker ended")
    finally:
        log.info("stopping with %d turns", len(worker.holdings))
        recovery.stop()
        with contextlib.suppress(TimeoutError, *AWAY):
            # The heart beats on until everything is handed over.
            async with asyncio.timeout(grace_s + _HAND_OVER_S):
                await asyncio.wait({recovering})
                await worker.drain(grace_s)
        await _end({told, *running})
        with contextlib.suppress(TimeoutError, *AWAY):
            async with asyncio.timeout(_HAND_OVER_S):
                await turns.leave(worker.worker_id)
                await worker.close()


async def _end(tasks: set["asyncio.Task[Any]"]) -> None:
    """Cancel until all have ended: a cancellation that meets a breaking connection can get lost."""
    pending = tasks
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)
