"""The resources of every route under `/v1`."""

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


def openai_resources(parts: Parts) -> dict[str, object]:
    """The resource of each path under `/v1`."""
    settings, jobs, models = parts.settings, parts.jobs, parts.models
    conversations, feed, headroom = parts.conversations, parts.feed, parts.intake.headroom
    max_body_bytes = settings.max_body_bytes
    streams = ResponseStreams(feed, parts.turns, jobs)
    return {
        "/v1/models": ModelsResource(models),
        "/v1/models/{model}": ModelResource(models),
        "/v1/chat/completions": ChatCompletionsResource(
            settings, parts.intake, parts.turns, feed, models
        ),
        "/v1/responses": ResponsesResource(
            settings, parts.intake, parts.turns, streams, feed, models
        ),
        "/v1/responses/compact": NotHereResource("/v1/responses/compact"),
        "/v1/responses/input_tokens": NotHereResource("/v1/responses/input_tokens"),
        "/v1/responses/{response}": ResponseResource(
            jobs, parts.events, conversations, streams, models
        ),
        "/v1/responses/{response}/cancel": CancelResource(jobs, parts.events, parts.turns, models),
        "/v1/responses/{response}/input_items": InputItemsResource(jobs),
        "/v1/conversations": NewConversationResource(conversations, headroom, max_body_bytes),
        "/v1/conversations/{conversation}": OpenAiConversationResource(
            conversations, max_body_bytes
        ),
        "/v1/conversations/{conversation}/items": ItemsResource(
            conversations, headroom, max_body_bytes
        ),
        "/v1/conversations/{conversation}/items/{item}": ItemResource(conversations),
    }


class NotHereResource:
    """An endpoint of OpenAI's API that does not exist here.

    Without it another route that happens to match would answer 405.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    async def on_get(self, _req: falcon.asgi.Request, _resp: falcon.asgi.Response) -> None:
        raise Problem(404, "not_supported", f"{self._path} is not supported here")

    on_post = on_delete = on_get
