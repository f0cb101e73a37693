"""What answers at each route, by the part of the interface that it belongs to."""

from dataclasses import dataclass
from functools import cached_property

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
from api.http.access import Access
from api.live.asking import Asking
from api.live.feed import EventFeed
from api.live.headroom import Headroom
from api.live.places import Places
from api.live.stream import EventStreams
from api.openai import resources as openai
from api.openai.models import Models
from api.openai.responses import ResponsesResource
from api.openai.stored import StoredResponses
from api.openapi import openapi_document
from api.ops.drain import DrainResource
from api.ops.health import HealthResource, Readiness, ReadyResource, StaticJson
from api.ops.history import SampleHistory
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
from api.sharing.sharing import SharedResource, ShareResource
from api.store import Store
from api.web.home import HomeResource
from api.web.markdown import MarkdownResource
from api.web.pages import HtmlPage, PageResource
from shared.config import Settings
from shared.distribution import version
from shared.id_source import IdSource
from shared.process.tasks import Background

Resources = dict[str, object]
"""By the template of their path."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What resources are made of."""

    settings: Settings
    store: Store
    feed: EventFeed
    places: Places
    headroom: Headroom
    id_source: IdSource
    access: Access

    @property
    def is_listed(self) -> bool:
        """Whether conversations may be listed: with keys, and without where that was allowed."""
        return self.settings.open_list or not self.access.is_open

    @cached_property
    def asking(self) -> Asking:
        """Submits prompts, in every dialect."""
        return Asking(
            self.settings,
            self.store.submissions,
            self.store.events,
            self.feed,
            self.headroom,
            self.store.replicas,
            self.id_source,
        )

    @cached_property
    def streams(self) -> EventStreams:
        """The events of jobs, live."""
        return EventStreams(self.feed, self.store.events, self.store.jobs, self.places)

    def chat(self, *, always_async: bool = False) -> ChatResource:
        """What takes prompts."""
        return ChatResource(
            self.settings,
            self.asking,
            self.streams,
            self.store.jobs,
            always_async=always_async,
            is_listed=self.is_listed,
        )


def chat_resources(parts: Parts) -> Resources:
    """Prompts and their jobs; `/` is a page as well."""
    jobs, submissions = parts.store.jobs, parts.store.submissions
    chat_page = HtmlPage("chat.html", asks_for_key=not parts.access.is_open)
    description = {
        "name": "Palaver",
        "version": version(),
        "description": "A chat backend that remembers: POST a prompt here.",
        "links": {"openapi": "/openapi.json", "docs": "/docs", "ready": "/readyz"},
    }
    return {
        "/": HomeResource(chat_page, description, parts.chat()),
        "/jobs": parts.chat(always_async=True),
        "/jobs/{job}": JobResource(jobs, submissions, parts.asking),
        "/jobs/{job}/stop": JobStopResource(jobs, submissions),
        "/jobs/{job}/events": JobEventsResource(parts.streams),
    }


def conversation_resources(parts: Parts) -> Resources:
    """The list, each conversation, and what belongs to it."""
    settings, store, headroom = parts.settings, parts.store, parts.headroom
    conversations, limit = store.conversations, settings.max_body_bytes
    one = "/conversations/{conversation}"
    return {
        "/conversations": ConversationsResource(
            settings,
            conversations,
            store.search,
            headroom,
            parts.id_source,
            is_listed=parts.is_listed,
        ),
        "/conversations/events": ListEventsResource(
            parts.feed, store.list_log, is_listed=parts.is_listed
        ),
        one: ConversationResource(conversations, headroom, limit),
        f"{one}/messages": MessagesResource(conversations),
        f"{one}/messages/{{number}}": MessageResource(conversations, headroom, limit),
        f"{one}/memory": MemoryResource(store.memories, headroom, limit, settings.memory),
        f"{one}/alternatives": AlternativesResource(store.alternatives),
        f"{one}/alternatives/{{alternative}}": AlternativeResource(
            store.alternatives, conversations
        ),
        f"{one}/alternatives/{{alternative}}/messages": AlternativeMessagesResource(
            store.alternatives
        ),
    }


def sharing_resources(parts: Parts) -> Resources:
    """Conversations that others may read, and personas."""
    store, headroom, is_listed = parts.store, parts.headroom, parts.is_listed
    settings = parts.settings
    return {
        "/conversations/{conversation}/share": ShareResource(
            store.shares, store.conversations, headroom, is_on=settings.sharing
        ),
        "/shared/{share}": SharedResource(store.shares, is_on=settings.sharing),
        "/personas": PersonasResource(store.personas, is_listed=is_listed),
        "/personas/{persona}": PersonaResource(
            store.personas, headroom, settings.max_body_bytes, is_listed=is_listed
        ),
    }


def dialect_resources(parts: Parts) -> Resources:
    """What speaks as OpenAI and Anthropic do."""
    settings, store, asking = parts.settings, parts.store, parts.asking
    conversations = store.conversations
    responses = StoredResponses(store.jobs, store.events, store.submissions)
    create_response = ResponsesResource(settings, asking, responses)
    return {
        **openai.completion_resources(settings, asking, Models(store.workers)),
        **openai.response_resources(create_response, responses, conversations, parts.streams),
        **openai.conversation_resources(settings, conversations, parts.headroom, parts.id_source),
        "/v1/messages": AnthropicMessagesResource(settings, asking),
        "/v1/messages/count_tokens": CountTokensResource(settings, asking),
    }


def page_resources(parts: Parts, history: SampleHistory) -> Resources:
    """What browsers open besides the chat, and what the scripts of those pages load."""
    settings, access = parts.settings, parts.access
    ops_page = HtmlPage("ops.html", asks_for_key=not access.is_open)
    return {
        "/docs": PageResource(HtmlPage("docs.html", asks_for_key=False)),
        "/openapi.json": StaticJson(openapi_document(settings, version())),
        "/ops": OpsPage(ops_page, access),
        "/ops/data": OpsData(history, parts.headroom, settings.first_token_alert),
        "/web/markdown": MarkdownResource(settings.max_body_bytes),
    }


def operator_resources(store: Store, names: OwnerNames) -> Resources:
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


def health_resources(background: Background, readiness: Readiness) -> Resources:
    """Whether this process lives, and whether prompts would be answered."""
    return {
        "/healthz": HealthResource(background),
        "/health": HealthResource(background),
        "/readyz": ReadyResource(readiness),
    }
