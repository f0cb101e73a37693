"""The application: all wiring and all routes on one page."""

import contextlib
import importlib.metadata
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import falcon.asgi
from redis.asyncio import Redis

from api.body import noting_disconnects
from api.chat import ChatResource
from api.conversations import ConversationResource, MessagesResource
from api.errors import install_error_handlers
from api.feed import EventFeed
from api.guards import Guards
from api.headroom import Headroom
from api.health import HealthResource, Readiness, ReadyResource, StaticJson
from api.intake import Intake
from api.jobs import JobEventsResource, JobResource
from api.openapi import openapi_document
from api.places import Places
from api.stream import EventStream
from api.waiting import Waiting
from shared.config import Settings
from shared.conversations import Conversations
from shared.events import EventLog
from shared.jobs import Jobs
from shared.keys import Keys
from shared.turns import Turns
from shared.workers import Workers


class Application(falcon.asgi.App[Any, Any]):
    """A falcon application that can tell a whole body from one that was cut off."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # type: ignore[override]
        await super().__call__(scope, noting_disconnects(scope, receive), send)


class HomeResource:
    """`/`: GET describes, POST chats."""

    def __init__(self, description: StaticJson, chat: ChatResource) -> None:
        self.on_get = description.on_get
        self.on_post = chat.on_post


@dataclass(frozen=True, slots=True)
class Api:
    """What a server needs: the application, whether prompts get answers, and who waits for some."""

    app: Application
    readiness: Readiness
    feed: EventFeed


@contextlib.asynccontextmanager
async def create_api(settings: Settings, redis: Redis) -> AsyncIterator[Api]:
    """Build the application; closes its connections at the end.

    It serves from the start: as long as Redis is away, prompts are answered with 503.
    """
    keys = Keys(settings.namespace)
    events = EventLog(redis, keys)
    feed = EventFeed(redis, keys, events)
    feed.start()
    turns = Turns(redis, keys, settings)
    places = Places(turns)
    places.start()
    headroom = Headroom(redis)
    headroom.start()
    intake = Intake(settings, turns, headroom, feed.api)
    readiness = Readiness(Workers(redis, keys), feed)
    jobs = Jobs(redis, keys, turns)
    conversations = Conversations(redis, keys, settings)
    try:
        app = create_app(
            settings, turns, intake, jobs, conversations, events, feed, places, readiness
        )
        yield Api(app, readiness, feed)
    finally:
        await headroom.close()
        await places.close()
        await feed.close()
        await redis.aclose(close_connection_pool=True)


def create_app(
    settings: Settings,
    turns: Turns,
    intake: Intake,
    jobs: Jobs,
    conversations: Conversations,
    events: EventLog,
    feed: EventFeed,
    places: Places,
    readiness: Readiness,
) -> Application:
    """Middleware, error handlers and every route."""
    version = importlib.metadata.version("palaver")
    app = Application(middleware=[Guards(settings)])
    install_error_handlers(app)
    home = {
        "name": "Palaver",
        "version": version,
        "description": "A chat backend that remembers: POST a prompt here.",
        "links": {"openapi": "/openapi.json", "ready": "/readyz"},
    }
    waiting = Waiting(feed, events, jobs)
    stream = EventStream(feed, events, jobs, places)
    timeout_s = settings.sync_timeout
    chat = ChatResource(intake, feed, waiting, stream, sync_timeout_s=timeout_s)
    later = ChatResource(intake, feed, waiting, stream, sync_timeout_s=timeout_s, always_async=True)
    app.add_route("/", HomeResource(StaticJson(home), chat))
    app.add_route("/jobs", later)
    app.add_route("/jobs/{job}", JobResource(jobs, turns, waiting))
    app.add_route("/jobs/{job}/events", JobEventsResource(stream))
    app.add_route("/conversations/{conversation}", ConversationResource(conversations))
    app.add_route("/conversations/{conversation}/messages", MessagesResource(conversations))
    app.add_route("/healthz", HealthResource())
    app.add_route("/readyz", ReadyResource(readiness))
    app.add_route("/openapi.json", StaticJson(openapi_document(settings, version)))
    return app
