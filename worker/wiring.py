"""All parts of a worker process, put together on one page."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.process.tasks import Background, end
from shared.store.boot import refusals_end_the_start, until_alike, until_usable
from shared.store.claims import Claims
from shared.store.connection import REDIS_UNAVAILABLE, connect
from shared.store.keys import Keys
from shared.store.workers import Workers
from worker.engine.interface import Engine
from worker.heartbeat import Heartbeat
from worker.held import Holdings
from worker.losses import Losses
from worker.publisher import Publisher
from worker.quarantine import Quarantine
from worker.recovery import Recovery
from worker.reply import Replier
from worker.retry import retry
from worker.stream_worker import StreamWorker
from worker.turn_metrics import TurnMetrics

log = logging.getLogger(__name__)

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
    redis = connect(settings)
    try:
        keys = Keys(settings.namespace)
        if await until_usable(redis, keys, settings, stopping):
            await _run(settings, redis, keys, engine, stopping)
    finally:
        await engine.close()
        await redis.aclose(close_connection_pool=True)


async def _run(
    settings: Settings, redis: Redis, keys: Keys, engine: Engine, stopping: asyncio.Event
) -> None:
    window = min(settings.context_length or engine.window, engine.window)
    turns, workers = Claims(redis, keys, settings, window=window), Workers(redis, keys)
    with refusals_end_the_start():
        await retry("group", turns.ensure_group)
    publisher = Publisher(turns)
    holdings: Holdings = {}
    quarantine = Quarantine(turns, holdings)
    metrics = TurnMetrics()
    replier = Replier(
        turns,
        engine,
        publisher,
        quarantine,
        metrics,
        window=window,
        trim_to=settings.trim_to,
        max_tokens=settings.max_tokens,
    )
    worker = StreamWorker(
        redis=redis,
        keys=keys,
        turns=turns,
        replier=replier,
        quarantine=quarantine,
        holdings=holdings,
        worker_id=new_worker_id(),
        model=engine.model.fingerprint,
        slots=min(settings.slots, engine.slots),
    )
    heartbeat = Heartbeat(
        turns,
        workers,
        engine,
        holdings,
        metrics,
        worker_id=worker.worker_id,
        interval_s=settings.heartbeat,
        context_length=settings.context_length,
        window=window,
    )
    losses = Losses(redis, keys, turns, holdings, worker.worker_id)
    recovery = Recovery(redis, turns, worker, metrics, lease_s=settings.lease)
    parts = {
        "publisher": publisher.run,
        "heartbeat": heartbeat.run,
        "losses": losses.run,
        "permits": worker.async_run,
    }
    if await _is_registered(heartbeat, settings, stopping):
        log.info("worker %s is ready", worker.worker_id)
        await _serve(worker, workers, recovery, parts, stopping, settings.grace)


async def _is_registered(heartbeat: Heartbeat, settings: Settings, stopping: asyncio.Event) -> bool:
    """Register once no worker of another model or window lives; False if told to stop before."""
    register = partial(retry, "register", heartbeat.register)
    with refusals_end_the_start():
        return await until_alike(register, settings.context_length, stopping)


async def _serve(
    worker: StreamWorker,
    workers: Workers,
    recovery: Recovery,
    parts: Mapping[str, Callable[[], Coroutine[Any, Any, None]]],
    stopping: asyncio.Event,
    grace_s: float,
) -> None:
    """Run until told to stop.

    Raises:
        TaskEnded: a part has died.

    Either way the turns that still run are handed over.
    """
    background = Background()
    background.start("recovery", recovery.run)
    for name, part in parts.items():
        background.start(name, part)
    told = asyncio.create_task(stopping.wait(), name="told to stop")
    failing = asyncio.create_task(background.until_failed(), name="a part has died")
    try:
        await asyncio.wait({told, failing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(told, failing)
        background.let_end()
        log.info("stopping with %d turns", len(worker.holdings))
        recovery.stop()
        with contextlib.suppress(TimeoutError, *REDIS_UNAVAILABLE):
            # The heart beats on until everything is handed over.
            async with asyncio.timeout(grace_s + _HAND_OVER_S):
                await background.ended("recovery")
                await worker.drain(grace_s)
        await background.close()
        with contextlib.suppress(TimeoutError, *REDIS_UNAVAILABLE):
            async with asyncio.timeout(_HAND_OVER_S):
                await workers.leave(worker.worker_id)
                await worker.close()
    if background.failure is not None:
        raise background.failure
