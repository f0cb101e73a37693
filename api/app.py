"""The application is wired here and in `resources.py`; `routes.py` describes the routes."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import falcon.asgi
import falcon.routing
from redis.asyncio import Redis

from api.dialects import DIALECTS
from api.http.access import Access, Misses
from api.http.errors import install_error_handlers
from api.http.guards import Guards
from api.http.incoming import Application
from api.http.keys import KeyRing
from api.http.spans import RequestSpans
from api.http.tracing import Tracing
from api.live.cells import all_feeds, all_headrooms, all_places
from api.live.feed import EventFeed, new_api
from api.live.headroom import Headroom
from api.live.places import Places
from api.live.revocations import Revocations
from api.live.stream import LiveStreams
from api.ops.health import Readiness, all_ready
from api.ops.history import SampleHistory
from api.ops.metrics import HttpMetrics, MetricsResource
from api.ops.turns import OwnerNames
from api.resources import (
    Parts,
    chat_resources,
    conversation_resources,
    dialect_resources,
    health_resources,
    operator_resources,
    page_resources,
    sharing_resources,
)
from api.routes import PATHS, add_routes
from api.store import Store, joined, open_store
from api.web.pages import FILES, STATIC, PageHeaders
from shared.cells import Cells
from shared.config import Settings
from shared.id_source import IdSource
from shared.process.tasks import Background
from shared.process.tracing import opened_tracer
from shared.store.keys import Keys
from shared.store.list_upkeep import ListUpkeep
from shared.traces import Tracer


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What a server needs of the application, besides the application itself.

    Args:
        readiness: whether prompts would be answered.
        feed: knows the readers that wait.
        background: the tasks that run as long as the process.
    """

    app: Application
    readiness: Readiness
    feed: EventFeed
    background: Background


@dataclass(frozen=True, slots=True, kw_only=True)
class Tasks:
    """What runs as long as the process: if one of its tasks ends, so does the process."""

    background: Background
    feed: EventFeed
    places: Places
    headroom: Headroom
    history: SampleHistory
    list_upkeep: Sequence[ListUpkeep]

    def start(self) -> None:
        """Run all of them."""
        self.feed.start(self.background)
        self.background.start("places", self.places.run)
        self.background.start("headroom", self.headroom.run)
        self.background.start("history", self.history.run)
        for cell, upkeep in enumerate(self.list_upkeep):
            self.background.start(f"list upkeep {cell}" if cell else "list upkeep", upkeep.run)


@contextlib.asynccontextmanager
async def create_api(settings: Settings, *clients: Redis) -> AsyncIterator[Api]:
    """Build the application, and close its connections at the end.

    It serves from the start: while Redis is unavailable, prompts are answered with 503.

    Args:
        clients: one for each cell; cells on the same server may share theirs.
    """
    with opened_tracer("palaver-api") as tracer:
        async with _running_api(settings, clients, tracer) as api:
            yield api


@contextlib.asynccontextmanager
async def _running_api(
    settings: Settings, clients: Sequence[Redis], tracer: Tracer | None
) -> AsyncIterator[Api]:
    cells, api_id = Cells(settings), new_api()
    parts = [
        _CellParts.of(of_cell, redis, api_id)
        for of_cell, redis in zip(cells.settings, clients, strict=True)
    ]
    store = joined(cells, [part.store for part in parts])
    tasks = _tasks(cells, store, parts)
    readiness = all_ready([part.readiness for part in parts])
    id_source = IdSource(cells, [part.readiness for part in parts])
    ring = open_keys(settings)
    access = Access(ring, cells, Misses(), PATHS, shows_turns=settings.shows_turns)
    app = create_app(settings, store, tasks, readiness, id_source, access, OwnerNames(ring), tracer)
    tasks.start()
    if ring is not None:
        revocations = Revocations(ring, store.submissions, tasks.feed)
        tasks.background.start("revocations", revocations.run)
    try:
        yield Api(app=app, readiness=readiness, feed=tasks.feed, background=tasks.background)
    finally:
        await tasks.background.close()
        await tasks.feed.close()
        await store.replicas.close()
        for redis in dict.fromkeys(clients):
            await redis.aclose(close_connection_pool=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _CellParts:
    """What an API process has for each cell."""

    store: Store
    feed: EventFeed
    places: Places
    headroom: Headroom
    list_upkeep: ListUpkeep
    readiness: Readiness

    @classmethod
    def of(cls, settings: Settings, redis: Redis, api_id: str) -> "_CellParts":
        keys = Keys(settings.keyspace)
        store = open_store(settings, redis, keys)
        feed, headroom = EventFeed(redis, keys, store.events, api_id), Headroom(redis, keys)
        return cls(
            store=store,
            feed=feed,
            places=Places(store.submissions),
            headroom=headroom,
            list_upkeep=ListUpkeep(redis, keys),
            readiness=Readiness(store.workers, feed, headroom),
        )


def _tasks(cells: Cells, store: Store, parts: Sequence[_CellParts]) -> Tasks:
    return Tasks(
        background=Background(),
        feed=all_feeds(cells, [part.feed for part in parts]),
        places=all_places(cells, [part.places for part in parts]),
        headroom=all_headrooms([part.headroom for part in parts]),
        history=SampleHistory(store.snapshots, store.queue),
        list_upkeep=[part.list_upkeep for part in parts],
    )


def create_app(
    settings: Settings,
    store: Store,
    tasks: Tasks,
    readiness: Readiness,
    id_source: IdSource,
    access: Access,
    names: OwnerNames,
    tracer: Tracer | None,
) -> Application:
    """Middleware, error handlers, and a resource for every route."""
    metrics = HttpMetrics()
    app = Application(
        middleware=[
            Tracing(PATHS),
            *([] if tracer is None else [RequestSpans(tracer, PATHS)]),
            metrics,
            PageHeaders(),
            LiveStreams(),
            Guards(settings, PATHS),
            access,
        ],
        router=GetAlsoAnswersHead(),
    )
    install_error_handlers(app, DIALECTS)
    parts = Parts(
        settings=settings,
        store=store,
        feed=tasks.feed,
        places=tasks.places,
        headroom=tasks.headroom,
        id_source=id_source,
        access=access,
    )
    resources = {
        **chat_resources(parts),
        **conversation_resources(parts),
        **sharing_resources(parts),
        **dialect_resources(parts),
        **page_resources(parts, tasks.history),
        **operator_resources(store, names),
        **health_resources(tasks.background, readiness),
        "/metrics": MetricsResource(metrics, store.snapshots, store.queue, store.usage, names),
    }
    add_routes(app, resources)
    app.add_static_route(FILES, STATIC)
    return app


def open_keys(settings: Settings) -> KeyRing | None:
    """The API keys, if there are any.

    Raises:
        ConfigError: their file cannot be read.
    """
    if settings.api_keys_file is None:
        return None
    ring = KeyRing(settings.api_keys_file)
    ring.load()
    return ring


class GetAlsoAnswersHead(falcon.routing.CompiledRouter):
    """Every resource that answers GET answers HEAD: the same headers, and falcon sends no body."""

    def map_http_methods(self, resource: object, **options: Any) -> Any:
        methods: dict[str, Any] = dict(super().map_http_methods(resource, **options))
        return {"HEAD": methods["GET"], **methods} if "GET" in methods else methods
