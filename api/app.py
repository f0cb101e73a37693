"""The application: all wiring on one page; `api/routes.py` describes the routes."""

import contextlib
import importlib.metadata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import falcon.asgi
import falcon.routing
from redis.asyncio import Redis

from api.conversations.chat import ChatResource
from api.conversations.conversations import (
    ConversationResource,
    ConversationsResource,
    MessagesResource,
)
from api.conversations.jobs import JobEventsResource, JobResource
from api.http.access import Access, Misses
from api.http.errors import install_error_handlers
from api.http.guards import Guards
from api.http.incoming import Incoming
from api.http.keys import KeyRing
from api.http.tracing import Tracing
from api.live.feed import EventFeed
from api.live.headroom import Headroom
from api.live.intake import Intake
from api.live.places import Places
from api.live.revocations import Revocations
from api.live.stream import EventStream, LiveStreams
from api.live.waiting import Waiting
from api.openai import errors as openai_errors
from api.openai.models import Models
from api.openai.routes import openai_resources
from api.openapi import openapi_document
from api.ops.health import HealthResource, Readiness, ReadyResource, StaticJson
from api.ops.history import History
from api.ops.metrics import HttpMetrics, MetricsResource
from api.ops.resource import OpsData, OpsPage
from api.parts import Parts
from api.routes import add_routes
from api.web.markdown import MarkdownResource
from api.web.pages import FILES, STATIC, Page, PageHeaders, PageResource, wants_page
from shared.config import Settings
from shared.process.tasks import Background
from shared.store.conversations import Conversations
from shared.store.event_log import EventLog
from shared.store.jobs import Jobs
from shared.store.keys import Keys
from shared.store.queue import Queue
from shared.store.submissions import Submissions
from shared.store.workers import Workers


class Application(falcon.asgi.App[Any, Any]):
    """A falcon application that waits for no client for ever."""

    def __init__(self, middleware: list[Any]) -> None:
        super().__init__(middleware=middleware, router=HeadsToo())
        self.req_options.strip_url_path_trailing_slash = True

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # type: ignore[override]
        if scope["type"] == "http":
            receive = Incoming(receive, scope)
        await super().__call__(scope, receive, send)


class HeadsToo(falcon.routing.CompiledRouter):
    """Whatever answers GET answers HEAD: the same headers, and falcon sends no body."""

    def map_http_methods(self, resource: object, **options: Any) -> Any:
        """As falcon's."""
        methods: dict[str, Any] = dict(super().map_http_methods(resource, **options))
        return {"HEAD": methods["GET"], **methods} if "GET" in methods else methods


class HomeResource:
    """`/`: GET gives a browser the chat page and others a description, POST chats."""

    def __init__(self, page: Page, description: StaticJson, chat: ChatResource) -> None:
        self._page = page
        self._description = description
        self.on_post = chat.on_post

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        if wants_page(req):
            self._page.answer(resp)
        else:
            resp.append_header("Vary", "Accept")
            await self._description.on_get(req, resp)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What a server needs: the application, its readiness, its waiting clients, its tasks."""

    app: Application
    readiness: Readiness
    feed: EventFeed
    background: Background


@contextlib.asynccontextmanager
async def create_api(settings: Settings, redis: Redis) -> AsyncIterator[Api]:
    """Build the application; closes its connections at the end.

    It serves from the start: as long as Redis is away, prompts are answered with 503.
    """
    ring = open_keys(settings)
    keys = Keys(settings.namespace)
    events = EventLog(redis, keys)
    feed = EventFeed(redis, keys, events)
    turns = Submissions(redis, keys, settings)
    places, headroom = Places(turns), Headroom(redis, keys)
    access = Access(ring, Misses())
    intake = Intake(settings, turns, headroom, feed.api)
    workers, queue = Workers(redis, keys), Queue(redis, keys)
    history = History(workers, queue, settings.heartbeat)
    readiness, models = Readiness(workers, feed, headroom), Models(workers)
    jobs = Jobs(redis, keys, turns)
    conversations = Conversations(redis, keys, settings)
    background = Background()
    feed.start(background)
    for name, part in (("places", places), ("headroom", headroom), ("history", history)):
        background.start(name, part.run)
    if ring is not None:
        background.start("revocations", Revocations(ring, turns).run)
    try:
        app = create_app(
            Parts(
                settings=settings,
                turns=turns,
                intake=intake,
                jobs=jobs,
                conversations=conversations,
                events=events,
                feed=feed,
                places=places,
                readiness=readiness,
                access=access,
                models=models,
                workers=workers,
                queue=queue,
                history=history,
                background=background,
            )
        )
        yield Api(app=app, readiness=readiness, feed=feed, background=background)
    finally:
        await background.close()
        await feed.close()
        await redis.aclose(close_connection_pool=True)


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


def create_app(parts: Parts) -> Application:
    """Middleware, error handlers, and a resource for every route."""
    settings, jobs, conversations = parts.settings, parts.jobs, parts.conversations
    version = importlib.metadata.version("palaver")
    http_metrics = HttpMetrics()
    app = Application(
        middleware=[
            Tracing(),
            http_metrics,
            PageHeaders(),
            LiveStreams(),
            Guards(settings),
            parts.access,
        ]
    )
    install_error_handlers(app, {openai_errors.PREFIX: openai_errors.DIALECT})
    home = {
        "name": "Palaver",
        "version": version,
        "description": "A chat backend that remembers: POST a prompt here.",
        "links": {"openapi": "/openapi.json", "docs": "/docs", "ready": "/readyz"},
    }
    waiting = Waiting(parts.feed, parts.events, jobs)
    stream = EventStream(parts.feed, parts.events, jobs, parts.places)
    asking = (parts.intake, parts.feed, waiting, stream)
    chat = ChatResource(*asking, sync_timeout_s=settings.sync_timeout)
    later = ChatResource(*asking, sync_timeout_s=settings.sync_timeout, always_async=True)
    has_keys = not parts.access.is_open
    resources: dict[str, object] = {
        "/": HomeResource(Page("chat.html", asks_for_key=has_keys), StaticJson(home), chat),
        "/jobs": later,
        "/jobs/{job}": JobResource(jobs, parts.turns, waiting),
        "/jobs/{job}/events": JobEventsResource(stream),
        "/conversations": ConversationsResource(conversations, is_open=parts.access.is_open),
        "/conversations/{conversation}": ConversationResource(conversations),
        "/conversations/{conversation}/messages": MessagesResource(conversations),
        **openai_resources(parts),
        "/healthz": HealthResource(parts.background),
        "/health": HealthResource(parts.background),
        "/readyz": ReadyResource(parts.readiness),
        "/metrics": MetricsResource(http_metrics, parts.workers, parts.queue),
        "/ops": OpsPage(Page("ops.html", asks_for_key=has_keys), parts.access),
        "/ops/data": OpsData(parts.history),
        "/openapi.json": StaticJson(openapi_document(settings, version)),
        "/docs": PageResource(Page("docs.html", asks_for_key=False)),
        "/web/markdown": MarkdownResource(settings.max_body_bytes),
    }
    add_routes(app, resources)
    app.add_static_route(FILES, STATIC)
    return app
