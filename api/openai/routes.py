"""Every route under `/v1`."""

from typing import Any

import falcon.asgi

from api.openai.completions import ChatCompletionsResource
from api.openai.conversations import (
    ItemsResource,
    NewConversationResource,
    OpenAiConversationResource,
)
from api.openai.models import ModelResource, ModelsResource
from api.openai.responses import (
    CancelResource,
    ResponseResource,
    ResponsesResource,
    ResponseStreams,
)
from api.parts import Parts


def add_openai_routes(app: "falcon.asgi.App[Any, Any]", parts: Parts) -> None:
    """Add them to an application."""
    settings, jobs, models = parts.settings, parts.jobs, parts.models
    conversations, feed = parts.conversations, parts.feed
    streams = ResponseStreams(feed, parts.turns)
    completions = ChatCompletionsResource(settings, parts.intake, parts.turns, feed, models)
    responses = ResponsesResource(settings, parts.intake, parts.turns, streams, feed, models)
    response = ResponseResource(jobs, conversations, streams, models)
    most = settings.max_body_bytes
    app.add_route("/v1/models", ModelsResource(models))
    app.add_route("/v1/models/{model}", ModelResource(models))
    app.add_route("/v1/chat/completions", completions)
    app.add_route("/v1/responses", responses)
    app.add_route("/v1/responses/{response}", response)
    app.add_route("/v1/responses/{response}/cancel", CancelResource(jobs, parts.turns, models))
    app.add_route(
        "/v1/conversations", NewConversationResource(conversations, parts.intake.headroom, most)
    )
    one = OpenAiConversationResource(conversations, most)
    app.add_route("/v1/conversations/{conversation}", one)
    app.add_route("/v1/conversations/{conversation}/items", ItemsResource(conversations))
