"""The application: everything is wired here; `api/routes.py` describes the routes."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import falcon.asgi
import falcon.routing
from redis.asyncio import Redis

from api.anthropic.messages import AnthropicMessagesResource, CountTokensResource
from api.conversations.alternatives import (
    AlternativeMessagesResource,
    AlternativeResource,
    AlternativesResource,
)
from api.conversations.chat import ChatResource
from api.conversations.conversations import (
    ConversationResource,
    ConversationsResource,
    MessageResource,
    MessagesResource,
)
from api.conversations.jobs import JobEventsResource, JobResource, JobStopResource
from api.conversations.list_events import ListEventsResource
from api.conversations.memory import MemoryResource
from api.dialects import DIALECTS
from api.http.access import Access, Misses
from api.http.errors import install_error_handlers
from api.http.guards import Guards
from api.http.incoming import Application
from api.http.keys import KeyRing
from api.http.spans import RequestSpans
from api.http.tracing import Tracing
from api.live.asking import Asking
from api.live.cells import all_feeds, all_headrooms, all_places
from api.live.feed import EventFeed, new_api
from api.live.headroom import Headroom
from api.live.places import Places
from api.live.revocations import Revocations
from api.live.stream import EventStreams, LiveStreams
from api.openai import resources as openai
from api.openai.models import Models
from api.openai.responses import ResponsesResource
from api.openai.stored import StoredResponses
from api.openapi import openapi_document
from api.ops.drain import DrainResource
from api.ops.health import HealthResource, Readiness, ReadyResource, StaticJson, all_ready
from api.ops.history import SampleHistory
from api.ops.metrics import HttpMetrics, MetricsResource
from api.ops.resource import OpsData, OpsPage
from api.ops.turns import (
    CancelTurnResource,
    LookUpResource,
    OwnerNames,
    RequeueTurnResource,
    TurnsResource,
)
from api.ops.usage import UsageResource
from api.personas.personas import PersonaResource, PersonasResource
from api.routes import PATHS, add_routes
from api.sharing.sharing import SharedResource, ShareResource
from api.store import Store, joined, open_store
from api.web.home import HomeResource
from api.web.markdown import MarkdownResource
from api.web.pages import FILES, STATIC, HtmlPage, PageHeaders, PageResource
from shared.cells import Cells
from shared.config import Settings
from shared.distribution import version
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

    jobs, conversations = store.jobs, store.conversations
    asking = Asking(
        settings,
        store.submissions,
        store.events,
        tasks.feed,
        tasks.headroom,
        store.replicas,
        id_source,
    )
    streams = EventStreams(tasks.feed, store.events, jobs, tasks.places)
    models = Models(store.workers)
    responses = StoredResponses(jobs, store.events, store.submissions)
    create_response = ResponsesResource(settings, asking, responses)
    is_listed = settings.open_list or not access.is_open
    chat = ChatResource(settings, asking, streams, jobs, is_listed=is_listed)
    resources: dict[str, object] = {
        **page_resources(settings, chat, access, tasks),
        **operator_resources(store, names),
        "/jobs": ChatResource(
            settings, asking, streams, jobs, always_async=True, is_listed=is_listed
        ),
        "/jobs/{job}": JobResource(jobs, store.submissions, asking),
        "/jobs/{job}/stop": JobStopResource(jobs, store.submissions),
        "/jobs/{job}/events": JobEventsResource(streams),
        "/conversations": ConversationsResource(
            settings, conversations, store.search, tasks.headroom, id_source, is_listed=is_listed
        ),
        "/conversations/events": ListEventsResource(
            tasks.feed, store.list_log, is_listed=is_listed
        ),
        "/conversations/{conversation}": ConversationResource(
            conversations, tasks.headroom, settings.max_body_bytes
        ),
        "/conversations/{conversation}/messages": MessagesResource(conversations),
        "/conversations/{conversation}/messages/{number}": MessageResource(
            conversations, tasks.headroom, settings.max_body_bytes
        ),
        "/conversations/{conversation}/memory": MemoryResource(
            store.memories, tasks.headroom, settings.max_body_bytes, settings.memory
        ),
        "/conversations/{conversation}/alternatives": AlternativesResource(store.alternatives),
        "/conversations/{conversation}/alternatives/{alternative}": AlternativeResource(
            store.alternatives, conversations
        ),
        "/conversations/{conversation}/alternatives/{alternative}/messages": (
            AlternativeMessagesResource(store.alternatives)
        ),
        "/conversations/{conversation}/share": ShareResource(
            store.shares, conversations, tasks.headroom, is_on=settings.sharing
        ),
        "/shared/{share}": SharedResource(store.shares, is_on=settings.sharing),
        "/personas": PersonasResource(store.personas, is_listed=is_listed),
        "/personas/{persona}": PersonaResource(
            store.personas, tasks.headroom, settings.max_body_bytes, is_listed=is_listed
        ),
        **openai.completion_resources(settings, asking, models),
        "/v1/messages": AnthropicMessagesResource(settings, asking),
        "/v1/messages/count_tokens": CountTokensResource(settings, asking),
        **openai.response_resources(create_response, responses, conversations, streams),
        **openai.conversation_resources(settings, conversations, tasks.headroom, id_source),
        "/healthz": HealthResource(tasks.background),
        "/health": HealthResource(tasks.background),
        "/readyz": ReadyResource(readiness),
        "/metrics": MetricsResource(metrics, store.snapshots, store.queue, store.usage, names),
        "/openapi.json": StaticJson(openapi_document(settings, version())),
    }
    add_routes(app, resources)
    app.add_static_route(FILES, STATIC)
    return app


def page_resources(
    settings: Settings, chat: ChatResource, access: Access, tasks: Tasks
) -> dict[str, object]:
    """What browsers open, and what the scripts of those pages load."""
    asks_for_key = not access.is_open
    description = {
        "name": "Palaver",
        "version": version(),
        "description": "A chat backend that remembers: POST a prompt here.",
        "links": {"openapi": "/openapi.json", "docs": "/docs", "ready": "/readyz"},
    }
    chat_page = HtmlPage("chat.html", asks_for_key=asks_for_key)
    return {
        "/": HomeResource(chat_page, description, chat),
        "/docs": PageResource(HtmlPage("docs.html", asks_for_key=False)),
        "/ops": OpsPage(HtmlPage("ops.html", asks_for_key=asks_for_key), access),
        "/ops/data": OpsData(tasks.history, tasks.headroom, settings.first_token_alert),
        "/web/markdown": MarkdownResource(settings.max_body_bytes),
    }


def operator_resources(store: Store, names: OwnerNames) -> dict[str, object]:
    """Everybody's turns, and the workers."""
    turns = store.operated_turns
    return {
        "/ops/turns": TurnsResource(turns, names),
        "/ops/lookup": LookUpResource(turns, names),
        "/ops/turns/{job}/cancel": CancelTurnResource(turns, names),
        "/ops/turns/{job}/requeue": RequeueTurnResource(turns, names),
        "/ops/usage": UsageResource(store.usage, names),
        "/ops/workers/{worker}/drain": DrainResource(store.workers),
    }


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
