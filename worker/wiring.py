"""A worker process: its parts, how they are put together, how it serves and stops."""

import asyncio
import contextlib
import logging
import os
import secrets
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import ConfigError
from shared.process.tasks import Background, end
from shared.store.boot import refusals_end_the_start, until_alike, until_usable
from shared.store.claims import Claims
from shared.store.connection import REDIS_UNAVAILABLE, connect
from shared.store.keys import Keys
from shared.store.scripts import milliseconds
from shared.store.workers import Workers
from worker.bells import BellReader
from worker.chat import Chat
from worker.claimer import Claimer
from worker.embeddings import Embeddings
from worker.engine.dropped_sessions import DroppedSessions
from worker.engine.embedding import Embedder
from worker.engine.interface import Engine, ModelInfo
from worker.generation import Generator
from worker.heartbeat import Heartbeat
from worker.homes import Homes
from worker.notices import Notices
from worker.prompt.window import WindowPolicy
from worker.prompt.writer import PromptWriter
from worker.publisher import Publisher
from worker.quarantine import Quarantine
from worker.queue_keeper import QueueKeeper
from worker.readers import Readers
from worker.reading.reply_format import ReplyFormat, derive_format
from worker.registration import Registration
from worker.reply import Replier
from worker.reply_maker import ReplyMaker
from worker.report import Reporter
from worker.retry import retry
from worker.running_turn import RunningTurns
from worker.stream_worker import StreamWorker
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.renderer import Renderer
from worker.template.rendering_process import RenderingProcess
from worker.turn_closer import TurnCloser
from worker.turn_metrics import TurnMetrics

log = logging.getLogger(__name__)

_LAST_WRITES_S: Final = 3.0
"""Time for the last writes of a process that stops."""


async def run_worker(
    settings: Settings,
    engine: Engine | Embedder,
    stopping: asyncio.Event,
    *,
    make_renderer: Callable[[str], Renderer] = RenderingProcess,
) -> None:
    """Serve turns until `stopping` is set.

    Args:
        engine: closed at the end.
        make_renderer: what runs a chat template, from its source.

    Raises:
        ConfigError: this worker cannot start on this server, or alongside the other workers.
        TaskEnded: a part has died.
    """
    redis = connect(settings)
    template: ChatTemplate | None = None
    try:
        keys = Keys(settings.namespace)
        if not isinstance(engine, Embedder):
            template = await asyncio.to_thread(_template, engine.model, make_renderer)
        if await until_usable(redis, keys, settings, stopping):
            parts = _build(settings, redis, keys, engine, template)
            if await _register(parts, settings, stopping):
                log.info("worker %s is ready", parts.registration.worker_id)
                await _serve(parts, stopping, settings.grace)
    finally:
        if template is not None:
            template.close()
        await engine.close()
        await redis.aclose(close_connection_pool=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What runs as long as the process, and the turns that run in it."""

    worker: StreamWorker
    publisher: Publisher
    heartbeat: Heartbeat
    notices: Notices
    keeper: QueueKeeper
    registration: Registration
    running: RunningTurns


def _build(
    settings: Settings,
    redis: Redis,
    keys: Keys,
    engine: Engine | Embedder,
    template: ChatTemplate | None,
) -> _Parts:
    worker_id = _new_worker_id()
    running: RunningTurns = {}
    metrics = TurnMetrics()
    window = min(settings.context_length or engine.window, engine.window)
    claims = Claims(redis, keys, settings, pool=engine.model.name, window=window)

    publisher = Publisher(claims)
    quarantine = Quarantine(claims, running)
    closer = TurnCloser(claims, metrics)
    homes = Homes(DroppedSessions() if isinstance(engine, Embedder) else engine.dropped)
    if isinstance(engine, Embedder):
        maker, capabilities = _embeddings(engine, window)
    else:
        assert template is not None
        maker, capabilities = _chat(settings, engine, template, claims, publisher, homes, window)
    replier = Replier(maker, quarantine, closer, metrics)

    bells = BellReader(redis, keys, worker_id)
    claimer = Claimer(claims, quarantine, worker_id, engine.model.fingerprint)
    slots = min(settings.slots, engine.slots)
    worker = StreamWorker(redis, bells, claimer, replier, closer, running=running, slots=slots)

    reporter = Reporter(
        engine,
        running,
        metrics,
        context_length=settings.context_length,
        window=window,
        capabilities=capabilities,
        patience_ms=milliseconds(settings.affinity_wait),
    )
    beat_s = settings.heartbeat
    keeper = QueueKeeper(redis, claims, metrics, worker_id, lease_s=settings.lease)
    registration = Registration(Workers(redis, keys), reporter, homes, worker_id, interval_s=beat_s)
    return _Parts(
        worker=worker,
        publisher=publisher,
        heartbeat=Heartbeat(claims, engine, running, registration, interval_s=beat_s),
        notices=Notices(
            redis,
            keys.notices(worker_id),
            claims,
            running,
            on_followed=publisher.follow,
            on_held=keeper.wake,
        ),
        keeper=keeper,
        registration=registration,
        running=running,
    )


def _embeddings(embedder: Embedder, window: int) -> tuple[ReplyMaker, tuple[str, ...]]:
    """What embeds texts, and what it can do."""
    return Embeddings(embedder, window), ("embeddings",)


def _chat(
    settings: Settings,
    engine: Engine,
    template: ChatTemplate,
    claims: Claims,
    publisher: Publisher,
    homes: Homes,
    window: int,
) -> tuple[ReplyMaker, tuple[str, ...]]:
    """What makes replies with a model that generates text, and what it can do."""
    readers = Readers(derive_format(template))
    log.info("replies: %s", readers.format.describe())
    policy = WindowPolicy(
        window=window,
        trim_to=settings.trim_to,
        max_tokens=settings.max_tokens,
        longest_thought=settings.reasoning_tokens if readers.format.has_reasoning else 0,
        thinking=settings.reasoning,
    )
    generator = Generator(engine, publisher, claims, readers)
    writer = PromptWriter(engine, template, readers.format.closing_of)
    return Chat(writer, generator, policy, homes), _capabilities(readers.format)


def _template(model: ModelInfo, make_renderer: Callable[[str], Renderer]) -> ChatTemplate:
    try:
        renderer = make_renderer(model.chat_template)
        template = ChatTemplate(
            model.chat_template, bos=model.bos, eos=model.eos, renderer=renderer
        )
    except TemplateError as error:
        raise ConfigError(
            f"the chat template of {model.name} cannot be used ({error}); "
            "PALAVER_CHAT_TEMPLATE names another"
        ) from None
    log.info("chat template: %s", template.traits.describe())
    return template


def _capabilities(reply_format: ReplyFormat) -> tuple[str, ...]:
    """What the model can do, as `/v1/models` tells it."""
    tools = ("tools",) if reply_format.has_tools else ()
    return ("chat", *tools, *(("reasoning",) if reply_format.has_reasoning else ()))


def _new_worker_id() -> str:
    """Host, process and a random part: a consumer name that is never used again."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


async def _register(parts: _Parts, settings: Settings, stopping: asyncio.Event) -> bool:
    """Register once no worker of another model or window lives; False if told to stop before."""
    register = partial(retry, "register", parts.registration.register)
    with refusals_end_the_start():
        return await until_alike(register, settings.context_length, stopping)


async def _serve(parts: _Parts, stopping: asyncio.Event, grace_s: float) -> None:
    """Run until told to stop or until a part dies; in both cases hand over the running turns.

    Raises:
        TaskEnded: a part has died.
    """
    background = Background()
    background.start("queue", parts.keeper.run)
    background.start("publisher", parts.publisher.run)
    background.start("heartbeat", parts.heartbeat.run)
    background.start("notices", parts.notices.run)
    background.start("turns", parts.worker.async_run)
    try:
        await _until_stopped(stopping, background)
    finally:
        background.let_end()
        log.info("stopping with %d turns", len(parts.running))
        await _stop(parts, background, grace_s)
    if background.failure is not None:
        raise background.failure


async def _until_stopped(stopping: asyncio.Event, background: Background) -> None:
    stopped = asyncio.create_task(stopping.wait(), name="told to stop")
    failed = asyncio.create_task(background.until_failed(), name="a part has died")
    try:
        await asyncio.wait({stopped, failed}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(stopped, failed)


async def _stop(parts: _Parts, background: Background, grace_s: float) -> None:
    parts.keeper.stop()
    with contextlib.suppress(TimeoutError, *REDIS_UNAVAILABLE):
        # The heart beats on until everything is handed over.
        async with asyncio.timeout(grace_s + _LAST_WRITES_S):
            await parts.registration.drain()
            await background.ended("queue")
            await parts.worker.drain(grace_s)
    await background.close()
    with contextlib.suppress(TimeoutError, *REDIS_UNAVAILABLE):
        async with asyncio.timeout(_LAST_WRITES_S):
            await parts.registration.leave()
            await parts.worker.close()
