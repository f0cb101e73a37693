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

from shared.boot import check_server, until_alike
from shared.config import Settings
from shared.keys import Keys
from shared.redis import AWAY, connect, wait_until_up
from shared.tasks import end
from shared.turns import Turns
from shared.workers import Workers
from worker.emitter import Emitter
from worker.engine.interface import Engine
from worker.heartbeat import Heartbeat
from worker.held import Holdings
from worker.losses import Losses
from worker.persistence import persist
from worker.quarantine import Quarantine
from worker.recovery import Recovery
from worker.reply import Replier
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
        if await wait_until_up(redis, stopping):
            await _run(settings, redis, engine, stopping)
    finally:
        await engine.close()
        await redis.aclose(close_connection_pool=True)


async def _run(settings: Settings, redis: Redis, engine: Engine, stopping: asyncio.Event) -> None:
    window = min(settings.context_length or engine.window, engine.window)
    keys = Keys(settings.namespace)
    await persist("check", lambda: check_server(redis, keys, settings))
    turns, workers = Turns(redis, keys, settings, window=window), Workers(redis, keys)
    await persist("group", turns.ensure_group)
    emitter = Emitter(turns)
    holdings: Holdings = {}
    quarantine = Quarantine(turns, holdings)
    metrics = TurnMetrics()
    worker = StreamWorker(
        redis=redis,
        keys=keys,
        turns=turns,
        replier=Replier(
            turns,
            engine,
            emitter,
            quarantine,
            metrics,
            window=window,
            trim_to=settings.trim_to,
            max_tokens=settings.max_tokens,
        ),
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
        "emitter": emitter.run,
        "heartbeat": heartbeat.run,
        "losses": losses.run,
        "permits": worker.async_run,
    }
    register = partial(persist, "register", heartbeat.register)
    if await until_alike(register, settings.context_length, stopping):
        log.info("worker %s is ready", worker.worker_id)
        await _serve(worker, workers, recovery, parts, stopping, settings.grace)


async def _serve(
    worker: StreamWorker,
    workers: Workers,
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
        await end(told, *running)
        with contextlib.suppress(TimeoutError, *AWAY):
            async with asyncio.timeout(_HAND_OVER_S):
                await workers.leave(worker.worker_id)
                await worker.close()
