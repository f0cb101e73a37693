"""The resource of each path under `/v1`."""

import falcon.asgi

from api.http.errors import Problem
from api.live.asking import Asking
from api.live.headroom import Headroom
from api.live.stream import EventStreams
from api.openai.completions import ChatCompletionsResource
from api.openai.conversations import (
    NewConversationResource,
    OpenAiConversationResource,
)
from api.openai.embeddings import EmbeddingsResource
from api.openai.input_tokens import InputTokensResource
from api.openai.items import ItemResource, ItemsResource
from api.openai.models import ModelResource, Models, ModelsResource
from api.openai.responses import (
    CancelResource,
    InputItemsResource,
    ResponseResource,
    ResponsesResource,
)
from api.openai.stored import StoredResponses
from api.openai.text_completions import CompletionsResource
from shared.config import Settings
from shared.id_source import IdSource
from shared.store.conversations import Conversations


def completion_resources(settings: Settings, asking: Asking, models: Models) -> dict[str, object]:
    """Models, the completions that they make, and the counts of what they would read."""
    return {
        "/v1/models": ModelsResource(models),
        "/v1/models/{model}": ModelResource(models),
        "/v1/models/{model}/{rest:path}": ModelResource(models),
        "/v1/chat/completions": ChatCompletionsResource(settings, asking),
        "/v1/completions": CompletionsResource(settings, asking),
        "/v1/embeddings": EmbeddingsResource(settings, asking),
        "/v1/responses/input_tokens": InputTokensResource(settings, asking),
    }


def response_resources(
    create: ResponsesResource,
    responses: StoredResponses,
    conversations: Conversations,
    streams: EventStreams,
) -> dict[str, object]:
    """Responses: `create` makes them, and the others work on what is stored."""
    compact = "/v1/responses/compact"
    return {
        "/v1/responses": create,
        "/v1/responses/{response}": ResponseResource(responses, conversations, streams),
        compact: UnsupportedResource(compact),
        "/v1/responses/{response}/cancel": CancelResource(responses),
        "/v1/responses/{response}/input_items": InputItemsResource(responses),
    }


def conversation_resources(
    settings: Settings, conversations: Conversations, headroom: Headroom, id_source: IdSource
) -> dict[str, object]:
    """Conversations and their items."""
    max_bytes = settings.max_body_bytes
    return {
        "/v1/conversations": NewConversationResource(conversations, headroom, id_source, max_bytes),
        "/v1/conversations/{conversation}": OpenAiConversationResource(conversations, max_bytes),
        "/v1/conversations/{conversation}/items": ItemsResource(conversations, headroom, max_bytes),
        "/v1/conversations/{conversation}/items/{item}": ItemResource(conversations),
    }


class UnsupportedResource:
    """An endpoint of OpenAI's API that does not exist here.

    Without it another route that happens to match would answer that the method is wrong.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    async def on_get(self, _req: falcon.asgi.Request, _resp: falcon.asgi.Response) -> None:
        raise Problem(404, "not_supported", f"{self._path} is not supported here")

    on_post = on_delete = on_get
