"""`POST /v1/embeddings`: texts as vectors, where a worker runs a model that embeds."""

import base64
import struct
from collections.abc import Sequence
from typing import Any

import falcon.asgi
import orjson

from api.http.access import caller_of
from api.http.errors import Problem, field_problem
from api.http.incoming import parse, read_json_object
from api.live.asking import Asking, reply_of
from api.openai.errors import no_outcome
from api.openai.models import Models
from api.openai.text_completions import stateless_submission
from api.openai.text_requests import EmbeddingsRequest
from shared.config import Settings


class EmbeddingsResource:
    """Embeds texts in one turn."""

    def __init__(self, settings: Settings, asking: Asking, models: Models) -> None:
        self._settings = settings
        self._asking = asking
        self._models = models

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = parse(EmbeddingsRequest, body)
        if await self._models.known() and not await self._models.can("embeddings"):
            raise Problem(400, "no_embeddings", "the model of this server does not embed texts")
        submission = stateless_submission(caller_of(req), request.turn(), self._asking.api_id)
        result = await self._asking.wait(submission, req, resp)
        if result.end is None:
            raise no_outcome(result.accepted, may_retry=True)
        reply = orjson.loads(reply_of(result.accepted, result.end))
        resp.media = embeddings_object(await self._models.name(), request, reply)


def embeddings_object(
    model_name: str, request: EmbeddingsRequest, reply: dict[str, Any]
) -> dict[str, Any]:
    """The vectors as OpenAI shows them.

    Raises:
        Problem: 422, the model's vectors have other dimensions than the client wants.
    """
    vectors = reply["embeddings"]
    size = len(vectors[0])
    if request.dimensions not in (None, size):
        raise field_problem("dimensions", f"the model's vectors have {size} dimensions")
    in_base64 = request.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": _packed(vector) if in_base64 else vector,
        }
        for index, vector in enumerate(vectors)
    ]
    prompt_tokens = reply["usage"]["prompt_tokens"]
    usage = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}
    return {"object": "list", "model": model_name, "data": data, "usage": usage}


def _packed(vector: Sequence[float]) -> str:
    """32-bit floats, little-endian, in base64."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
