"""A worker's parts in one cell, and how they are put together."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from redis.asyncio import Redis

from shared.cells import Cells
from shared.store.claims import Claims
from shared.store.earlier_messages import EarlierMessages
from shared.store.keys import Keys
from shared.store.old_queue import OldQueue
from shared.store.recent_conversations import RecentConversations
from shared.store.summaries import Folds
from shared.store.workers import Workers
from shared.wire.announced import Keeper
from shared.wire.served_model import DEMO
from worker.bells import BellReader
from worker.chat import Chat
from worker.claimer import Claimer
from worker.embeddings import Embeddings
from worker.engine.dropped_sessions import DroppedSessions
from worker.engine.embedding import Embedder
from worker.engine.interface import Engine
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
from worker.recall.elsewhere import Elsewhere
from worker.recall.recall import Recall
from worker.registration import Registration
from worker.reply import Replier
from worker.reply_maker import ReplyMaker
from worker.report import Reporter
from worker.running_turn import RunningTurn, RunningTurns, TurnsOfCell
from worker.serving import CellParts
from worker.summaries.folding import Folding
from worker.summaries.summarizer import Summarizer
from worker.turn_closer import TurnCloser
from worker.turn_metrics import TurnMetrics
from worker.turn_spans import TurnSpans


@dataclass(frozen=True, slots=True, kw_only=True)
class Chatting:
    """What makes replies with a model that generates text."""

    engine: Engine
    readers: Readers
    policy: WindowPolicy
    writer: PromptWriter
    summarizer: Summarizer

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What the model can do, as `/v1/models` tells it."""
        reply_format = self.readers.format
        tools = ("tools",) if reply_format.has_tools else ()
        reasoning = ("reasoning",) if reply_format.has_reasoning else ()
        demo = (DEMO,) if self.engine.model.is_demo else ()
        return ("chat", *tools, *reasoning, *demo)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What a worker has once, for all its cells.

    Args:
        model: what makes replies, or vectors.
        running: all turns that run.
        idle: told of each that begins and ends.
        drained: set when somebody wants this worker to drain.
    """

    cells: Cells
    model: Chatting | Embedder
    window: int
    worker_id: str
    quarantine: Quarantine
    metrics: TurnMetrics
    spans: TurnSpans | None
    reporter: Reporter
    running: RunningTurns
    idle: Idle
    drained: asyncio.Event

    @property
    def engine(self) -> Engine | Embedder:
        """What runs the model."""
        return self.model if isinstance(self.model, Embedder) else self.model.engine

    def running_in(self, cell: int) -> Mapping[str, RunningTurn]:
        """The turns that run and are of this cell."""
        if self.cells.number == 1:
            return self.running
        return TurnsOfCell(self.cells, cell, self.running)

    def homes_in(self, cell: int) -> Homes:
        """What others in this cell believe to be in the engine's cache."""
        model, cells = self.model, self.cells
        dropped = DroppedSessions() if isinstance(model, Embedder) else model.engine.dropped
        if cells.number == 1:
            return Homes(dropped)
        return Homes(dropped, lambda session: cells.of_conversation(session) == cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltCell:
    """A cell's parts, and what takes and ends its turns."""

    parts: CellParts
    bells: BellReader
    claimer: Claimer
    replier: Replier
    closer: TurnCloser


def build_cell(shared: Shared, cell: int, redis: Redis, claims: Claims) -> BuiltCell:
    """All parts of a cell that the worker serves."""
    settings, worker_id = shared.cells.settings[cell], shared.worker_id
    keys, running, engine = Keys(settings.keyspace), shared.running_in(cell), shared.engine
    workers, old_queue = Workers(redis, keys), OldQueue(redis, keys, engine.model.name)
    publisher, closer = Publisher(claims), TurnCloser(claims, shared.metrics)
    homes, messages = shared.homes_in(cell), EarlierMessages(redis, keys)
    search = (Recall(messages), Elsewhere(RecentConversations(redis, keys), messages))
    folding = _folding(shared, Folds(redis, keys, engine.model.name), messages)
    maker = _maker(shared, publisher, claims, homes, search, folding)
    keeper = QueueKeeper(
        redis,
        claims,
        old_queue,
        shared.metrics,
        worker_id,
        lease_s=settings.lease,
        beat_s=settings.heartbeat,
    )
    registration = Registration(
        workers,
        claims.clock,
        shared.reporter,
        homes,
        worker_id,
        interval_s=settings.heartbeat,
        on_drain=shared.drained.set,
        on_keeper=partial(_tell, [keeper, folding] if folding is not None else [keeper]),
    )
    heartbeat = Heartbeat(claims, engine, running, registration, interval_s=settings.heartbeat)
    notices = Notices(
        redis,
        keys.notices(worker_id),
        claims,
        running,
        on_followed=publisher.follow,
        on_held=keeper.wake,
        on_drain=shared.drained.set,
    )
    return BuiltCell(
        parts=CellParts(
            cell=cell,
            of="" if shared.cells.number == 1 else f" {cell}",
            publisher=publisher,
            heartbeat=heartbeat,
            notices=notices,
            keeper=keeper,
            registration=registration,
            folding=folding,
        ),
        bells=BellReader(settings, redis, keys, worker_id),
        claimer=Claimer(claims, shared.quarantine, worker_id, engine.model.fingerprint),
        replier=Replier(maker, shared.quarantine, closer, shared.metrics, shared.spans),
        closer=closer,
    )


def _folding(shared: Shared, folds: Folds, messages: EarlierMessages) -> Folding | None:
    """What makes the summaries of a cell; None if the model writes no text."""
    if isinstance(shared.model, Embedder):
        return None
    return Folding(folds, shared.idle, shared.metrics, messages, shared.model.summarizer)


def _maker(
    shared: Shared,
    publisher: Publisher,
    claims: Claims,
    homes: Homes,
    search: tuple[Recall, Elsewhere],
    folding: Folding | None,
) -> ReplyMaker:
    model = shared.model
    if isinstance(model, Embedder):
        return Embeddings(model, shared.window)
    assert folding is not None
    generator = Generator(model.engine, publisher, claims, model.readers)
    return Chat(model.writer, generator, model.policy, homes, *search, folding)


class _Hearer(Protocol):
    """Wants to know who keeps the queue, and how many workers there are."""

    def heard(self, keeper: Keeper) -> None: ...


def _tell(hearers: Sequence[_Hearer], keeper: Keeper) -> None:
    for hearer in hearers:
        hearer.heard(keeper)
