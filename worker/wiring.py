"""A worker process: its parts, and how they are put together."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from redis.asyncio import Redis

from shared import ids
from shared.cells import Cells
from shared.config import Settings
from shared.errors import ConfigError
from shared.process.tasks import Endless
from shared.process.tracing import opened_tracer
from shared.store.boot import (
    check_server,
    check_worker,
    refusals_end_the_start,
    until_alike,
    until_usable,
)
from shared.store.cell_record import record_check
from shared.store.claims import Claims
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.pool import worker_pool
from shared.store.scripts import milliseconds
from shared.traces import Tracer
from worker.all_cells import AllLines, AllRepliers, AllShields, CellLine
from worker.cell import BuiltCell, Chatting, Shared, build_cell
from worker.engine.embedding import Embedder
from worker.engine.interface import Engine, ModelInfo
from worker.idle import Idle
from worker.prompt.window import WindowPolicy
from worker.prompt.writer import PromptWriter
from worker.quarantine import Quarantine
from worker.readers import Readers
from worker.reading.reply_format import derive_format
from worker.registration import Registration
from worker.report import Reporter
from worker.retry import retry
from worker.running_turn import RunningTurns
from worker.served_cells import cells_to_serve
from worker.serving import Join, Parts, join_some, serve
from worker.stream_worker import StreamWorker
from worker.summaries.summarizer import Summarizer
from worker.template.chat_template import ChatTemplate
from worker.template.environment import TemplateError
from worker.template.renderer import Renderer
from worker.template.rendering_process import RenderingProcess
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
    cells, worker_id = Cells(settings), ids.new_worker()
    clients = _connected(cells, _slots(settings, engine))
    template: ChatTemplate | None = None
    try:
        if not isinstance(engine, Embedder):
            template = await asyncio.to_thread(_template, engine.model, make_renderer)
        served = {
            cell: clients[cell]
            for cell in await cells_to_serve(cells, clients, settings.cells_per_worker)
        }
        shared, claims = _shared(settings, cells, served, engine, template, tracer, worker_id)
        built = [build_cell(shared, cell, redis, claims[cell]) for cell, redis in served.items()]
        joins: dict[int, Join] = {
            each.parts.cell: partial(
                _join, each.parts.registration, cells, each.parts.cell, settings, served, stopping
            )
            for each in built
        }
        joined = await join_some(joins)
        if not joined:
            return False
        log.info("worker %s is ready", worker_id)
        for cell in joined:
            del joins[cell]
        parts = _parts(shared, built, joins, served[joined[0]], _slots(settings, engine))
        return await serve(parts, stopping, settings.grace)
    finally:
        if template is not None:
            template.close()
        await engine.close()
        for redis in dict.fromkeys(clients):
            await redis.aclose(close_connection_pool=True)


def _connected(cells: Cells, slots: int) -> list[Redis]:
    """A client for each cell; nothing is sent yet."""
    return [connect(of_cell, max_connections=worker_pool(slots)) for of_cell in cells.settings]


async def _join(
    registration: Registration,
    cells: Cells,
    cell: int,
    whole: Settings,
    clients: Mapping[int, Redis],
    stopping: asyncio.Event,
) -> bool:
    """Register in a cell that can be used, once no worker of another model or window lives there.

    Returns:
        False if told to stop before.
    """
    settings = cells.settings[cell]
    keys, checks = Keys(settings.keyspace), (check_server, record_check(cells, cell, whole))
    if not await until_usable(clients[cell], keys, settings, stopping, *checks, check_worker):
        return False
    register = partial(retry, "register", registration.register)
    with refusals_end_the_start():
        return await until_alike(register, settings.context_length, stopping)


def _shared(
    settings: Settings,
    cells: Cells,
    served: Mapping[int, Redis],
    engine: Engine | Embedder,
    template: ChatTemplate | None,
    tracer: Tracer | None,
    worker_id: str,
) -> tuple[Shared, Mapping[int, Claims]]:
    """What the worker has once; and what takes turns in each cell."""
    running: RunningTurns = {}
    metrics, drained = TurnMetrics(), asyncio.Event()
    window = min(settings.context_length or engine.window, engine.window)
    claims = {
        cell: Claims(
            redis,
            Keys(cells.settings[cell].keyspace),
            cells.settings[cell],
            pool=engine.model.name,
            window=window,
        )
        for cell, redis in served.items()
    }
    shields = AllShields(cells, claims) if len(claims) > 1 else next(iter(claims.values()))
    model = _model(settings, engine, template, window)
    capabilities = ("embeddings",) if isinstance(model, Embedder) else model.capabilities
    shared = Shared(
        cells=cells,
        model=model,
        window=window,
        worker_id=worker_id,
        quarantine=Quarantine(shields, running),
        metrics=metrics,
        spans=None if tracer is None else TurnSpans(tracer, engine.model.name, worker_id),
        reporter=_reporter(settings, engine, running, metrics, window, capabilities),
        running=running,
        idle=Idle(),
        drained=drained,
    )
    return shared, claims


def _parts(
    shared: Shared, built: Sequence[BuiltCell], waiting: dict[int, Join], redis: Redis, slots: int
) -> Parts:
    """All parts of the process.

    Args:
        waiting: cells that could not be joined yet.
        redis: of one that was.
    """
    worker, listeners = _stream_worker(shared, built, redis, slots)
    return Parts(
        worker=worker,
        cells=[each.parts for each in built],
        listeners=listeners,
        waiting=waiting,
        running=shared.running,
        drained=shared.drained,
    )


def _stream_worker(
    shared: Shared, built: Sequence[BuiltCell], redis: Redis, slots: int
) -> tuple[StreamWorker, Mapping[int, Endless]]:
    """What takes turns of one cell or of several, and what hears the bells of several."""
    running, idle = shared.running, shared.idle
    if len(built) == 1:
        (only,) = built
        worker = StreamWorker(
            redis,
            only.bells,
            only.claimer,
            only.replier,
            only.closer,
            running=running,
            idle=idle,
            slots=slots,
        )
        return worker, {}
    of_cells = [CellLine(each.parts.cell, each.bells, each.claimer) for each in built]
    lines = AllLines(shared.cells, of_cells, running, slots)
    repliers = AllRepliers(shared.cells, built)
    worker = StreamWorker(
        redis, lines, lines, repliers, repliers, running=running, idle=idle, slots=slots
    )
    cells = [each.parts.cell for each in built]
    return worker, {cell: partial(lines.listen, cell) for cell in cells}


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


def _model(
    settings: Settings, engine: Engine | Embedder, template: ChatTemplate | None, window: int
) -> Chatting | Embedder:
    """What makes replies, the same for all cells."""
    if isinstance(engine, Embedder):
        return engine
    assert template is not None
    readers = Readers(derive_format(template))
    log.info("replies: %s", readers.format.describe())
    policy = WindowPolicy(
        window=window,
        trim_to=settings.trim_to,
        max_tokens=settings.max_tokens,
        longest_thought=settings.reasoning_tokens if readers.format.has_reasoning else 0,
        thinking=settings.reasoning,
        memory=settings.memory,
        quotes=window // 8 if settings.recall_tokens is None else settings.recall_tokens,
        summary=window // 10 if settings.summary_tokens is None else settings.summary_tokens,
    )
    writer = PromptWriter(engine, template, readers.format.closing_of)
    return Chatting(
        engine=engine,
        readers=readers,
        policy=policy,
        writer=writer,
        summarizer=Summarizer(writer, readers.format, window=window, longest=policy.summary),
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
