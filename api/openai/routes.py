"""Every route under `/v1`."""

from typing import Any

import falcon.asgi

from api.http.errors import Problem
from api.openai.completions import ChatCompletionsResource
from api.openai.conversations import (
    NewConversationResource,
    OpenAiConversationResource,
)
from api.openai.items import ItemResource, ItemsResource
from api.openai.models import ModelResource, ModelsResource
from api.openai.responses import (
    CancelResource,
    InputItemsResource,
    ResponseResource,
    ResponsesResource,
    ResponseStreams,
)
from api.parts import Parts


def add_openai_routes(app: "falcon.asgi.App[Any, Any]", parts: Parts) -> None:
    """Add them to an application."""
    settings, jobs, models = parts.settings, parts.jobs, parts.models
    conversations, feed = parts.conversations, parts.feed
    streams = ResponseStreams(feed, parts.turns, jobs)
    completions = ChatCompletionsResource(settings, parts.intake, parts.turns, feed, models)
    responses = ResponsesResource(settings, parts.intake, parts.turns, streams, feed, models)
    response = ResponseResource(jobs, parts.events, conversations, streams, models)
    most = settings.max_body_bytes
    app.add_route("/v1/models", ModelsResource(models))
    app.add_route("/v1/models/{model}", ModelResource(models))
    app.add_route("/v1/chat/completions", completions)
    app.add_route("/v1/responses", responses)
    app.add_route("/v1/responses/{response}", response)
    for name in ("compact", "input_tokens"):
        app.add_route(f"/v1/responses/{name}", NotHereResource(f"/v1/responses/{name}"))
    cancel = CancelResource(jobs, parts.events, parts.turns, models)
    app.add_route("/v1/responses/{response}/cancel", cancel)
    app.add_route("/v1/responses/{response}/input_items", InputItemsResource(jobs))
    app.add_route(
        "/v1/conversations", NewConversationResource(conversations, parts.intake.headroom, most)
    )
    one = OpenAiConversationResource(conversations, most)
    app.add_route("/v1/conversations/{conversation}", one)
    items = ItemsResource(conversations, parts.intake.headroom, most)
    app.add_route("/v1/conversations/{conversation}/items", items)
    app.add_route("/v1/conversations/{conversation}/items/{item}", ItemResource(conversations))


class NotHereResource:
    """Says of an endpoint of OpenAI's API that there is none here.

    Without it another route, which happens to match, would speak of a wrong method.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    async def on_get(self, _req: falcon.asgi.Request, _resp: falcon.asgi.Response) -> None:
        raise Problem(404, "not_supported", f"{self._path} is not supported here")

    on_post = on_delete = on_get
