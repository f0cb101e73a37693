"""A worker process: its parts, and how they are put together."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from redis.asyncio import Redis

from shared import ids
from shared.config import Settings
from shared.errors import ConfigError
from shared.process.tracing import opened_tracer
from shared.store.boot import (
    check_server,
    check_worker,
    refusals_end_the_start,
    until_alike,
    until_usable,
)
from shared.store.claims import Claims
from shared.store.connection import connect
from shared.store.earlier_messages import EarlierMessages
from shared.store.keys import Keys
from shared.store.old_queue import OldQueue
from shared.store.pool import worker_pool
from shared.store.scripts import milliseconds
from shared.store.summaries import Folds
from shared.store.workers import Workers
from shared.traces import Tracer
from shared.wire.announced import Keeper
from shared.wire.served_model import DEMO
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
from worker.idle import Idle
from worker.notices import Notices
from worker.prompt.window import WindowPolicy
from worker.prompt.writer import PromptWriter
from worker.publisher import Publisher
from worker.quarantine import Quarantine
from worker.queue_keeper import QueueKeeper
from worker.readers import Readers
from worker.reading.reply_format import ReplyFormat, derive_format
from worker.recall.recall import Recall
from worker.registration import Registration
from worker.reply import Replier
from worker.reply_maker import ReplyMaker
from worker.report import Reporter
from worker.retry import retry
from worker.running_turn import RunningTurns
from worker.serving import Parts, serve
from worker.stream_worker import StreamWorker
from worker.summaries.folding import Folding
from worker.summaries.summarizer import Summarizer
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.renderer import Renderer
from worker.template.rendering_process import RenderingProcess
from worker.turn_closer import TurnCloser
from worker.turn_metrics import TurnMetrics
from worker.turn_spans import TurnSpans

log = logging.getLogger(__name__)


async def run_worker(
    settings: Settings,
    engine: Engine | Embedder,
    stopping: asyncio.Event,
    *,
    make_renderer: Callable[[str], Renderer] = RenderingProcess,
) -> bool:
    """Serve turns until `stopping` is set, or somebody wants this worker to drain.

    Args:
        engine: closed at the end.
        make_renderer: what runs a chat template, from its source.

    Returns:
        Whether it has drained because somebody wanted it to.

    Raises:
        ConfigError: this worker cannot start on this server, or alongside the other workers.
        TaskEnded: a part has died.
    """
    with opened_tracer("palaver-worker") as tracer:
        return await _run(settings, engine, stopping, make_renderer, tracer)


async def _run(
    settings: Settings,
    engine: Engine | Embedder,
    stopping: asyncio.Event,
    make_renderer: Callable[[str], Renderer],
    tracer: Tracer | None,
) -> bool:
    redis = connect(settings, max_connections=worker_pool(_slots(settings, engine)))
    template: ChatTemplate | None = None
    try:
        keys = Keys(settings.keyspace)
        if not isinstance(engine, Embedder):
            template = await asyncio.to_thread(_template, engine.model, make_renderer)
        if await until_usable(redis, keys, settings, stopping, check_server, check_worker):
            parts = _build(settings, redis, keys, engine, template, tracer)
            if await _register(parts, settings, stopping):
                log.info("worker %s is ready", parts.registration.worker_id)
                return await serve(parts, stopping, settings.grace)
        return False
    finally:
        if template is not None:
            template.close()
        await engine.close()
        await redis.aclose(close_connection_pool=True)


def _build(
    settings: Settings,
    redis: Redis,
    keys: Keys,
    engine: Engine | Embedder,
    template: ChatTemplate | None,
    tracer: Tracer | None,
) -> Parts:
    worker_id, drained = ids.new_worker(), asyncio.Event()
    running: RunningTurns = {}
    idle = Idle()
    metrics = TurnMetrics()
    window = min(settings.context_length or engine.window, engine.window)
    claims = Claims(redis, keys, settings, pool=engine.model.name, window=window)

    publisher = Publisher(claims)
    quarantine = Quarantine(claims, running)
    closer = TurnCloser(claims, metrics)
    homes = Homes(DroppedSessions() if isinstance(engine, Embedder) else engine.dropped)
    if isinstance(engine, Embedder):
        making = _Making(maker=Embeddings(engine, window), capabilities=("embeddings",))
    else:
        assert template is not None
        readers = _readers(template)
        writer = PromptWriter(engine, template, readers.format.closing_of)
        making = _chat(
            writer,
            _policy(settings, readers.format, window),
            readers,
            generator=Generator(engine, publisher, claims, readers),
            homes=homes,
            messages=EarlierMessages(redis, keys),
            folding=partial(Folding, Folds(redis, keys, engine.model.name), idle, metrics),
        )
    spans = None if tracer is None else TurnSpans(tracer, engine.model.name, worker_id)
    replier = Replier(making.maker, quarantine, closer, metrics, spans)

    bells = BellReader(settings, redis, keys, worker_id)
    claimer = Claimer(claims, quarantine, worker_id, engine.model.fingerprint)
    slots = _slots(settings, engine)
    worker = StreamWorker(
        redis, bells, claimer, replier, closer, running=running, idle=idle, slots=slots
    )

    reporter = _reporter(settings, engine, running, metrics, window, making.capabilities)
    workers, beat_s = Workers(redis, keys), settings.heartbeat
    old_queue = OldQueue(redis, keys, engine.model.name)
    keeper = QueueKeeper(
        redis, claims, old_queue, metrics, worker_id, lease_s=settings.lease, beat_s=beat_s
    )
    registration = Registration(
        workers,
        claims.clock,
        reporter,
        homes,
        worker_id,
        interval_s=beat_s,
        on_drain=drained.set,
        on_keeper=partial(_tell, (keeper.heard, making.heard)),
    )
    return Parts(
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
            on_drain=drained.set,
        ),
        keeper=keeper,
        registration=registration,
        folding=making.folding,
        running=running,
        drained=drained,
    )


def _reporter(
    settings: Settings,
    engine: Engine | Embedder,
    running: RunningTurns,
    metrics: TurnMetrics,
    window: int,
    capabilities: tuple[str, ...],
) -> Reporter:
    """What tells the others of this worker."""
    return Reporter(
        engine,
        running,
        metrics,
        context_length=settings.context_length,
        window=window,
        capabilities=capabilities,
        patience_ms=milliseconds(settings.affinity_wait),
    )


def _slots(settings: Settings, engine: Engine | Embedder) -> int:
    """How many turns run together."""
    return min(settings.slots, engine.slots)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Making:
    """What makes replies, what the model can do, and what makes summaries if it writes text."""

    maker: ReplyMaker
    capabilities: tuple[str, ...]
    folding: Folding | None = None

    def heard(self, keeper: Keeper) -> None:
        """Who keeps the queue, and for how many workers."""
        if self.folding is not None:
            self.folding.heard(keeper)


def _chat(
    writer: PromptWriter,
    policy: WindowPolicy,
    readers: Readers,
    *,
    generator: Generator,
    homes: Homes,
    messages: EarlierMessages,
    folding: Callable[[EarlierMessages, Summarizer], Folding],
) -> _Making:
    """For a model that generates text."""
    summarizer = Summarizer(writer, readers.format, window=policy.window, longest=policy.summary)
    summaries = folding(messages, summarizer)
    return _Making(
        maker=Chat(writer, generator, policy, homes, Recall(messages), summaries),
        capabilities=_capabilities(readers.format, writer.engine.model),
        folding=summaries,
    )


def _readers(template: ChatTemplate) -> Readers:
    readers = Readers(derive_format(template))
    log.info("replies: %s", readers.format.describe())
    return readers


def _tell(hearers: Sequence[Callable[[Keeper], None]], keeper: Keeper) -> None:
    for hear in hearers:
        hear(keeper)


def _policy(settings: Settings, reply_format: ReplyFormat, window: int) -> WindowPolicy:
    """How windows are shared between prompts and replies."""
    return WindowPolicy(
        window=window,
        trim_to=settings.trim_to,
        max_tokens=settings.max_tokens,
        longest_thought=settings.reasoning_tokens if reply_format.has_reasoning else 0,
        thinking=settings.reasoning,
        memory=settings.memory,
        quotes=window // 8 if settings.recall_tokens is None else settings.recall_tokens,
        summary=window // 10 if settings.summary_tokens is None else settings.summary_tokens,
    )


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


def _capabilities(reply_format: ReplyFormat, model: ModelInfo) -> tuple[str, ...]:
    """What the model can do, as `/v1/models` tells it."""
    tools = ("tools",) if reply_format.has_tools else ()
    reasoning = ("reasoning",) if reply_format.has_reasoning else ()
    return ("chat", *tools, *reasoning, *((DEMO,) if model.is_demo else ()))


async def _register(parts: Parts, settings: Settings, stopping: asyncio.Event) -> bool:
    """Register once no worker of another model or window lives; False if told to stop before."""
    register = partial(retry, "register", parts.registration.register)
    with refusals_end_the_start():
        return await until_alike(register, settings.context_length, stopping)
