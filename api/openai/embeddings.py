"""`POST /v1/embeddings`: texts as vectors, where a worker runs a model that embeds."""

import base64
import struct
from collections.abc import Sequence
from typing import Any, Final

import falcon.asgi
import orjson

from api.http.access import caller_of
from api.http.errors import field_problem
from api.http.incoming import parse, read_json_object
from api.live.asking import Asking, reply_of
from api.openai.errors import no_outcome
from api.openai.submissions import stateless_submission
from api.openai.text_requests import EmbeddingsRequest
from shared.config import Settings

Reply = dict[str, Any]

_FLOAT_BYTES: Final = 4


class EmbeddingsResource:
    """Embeds texts; many of them in several turns."""

    def __init__(self, settings: Settings, asking: Asking) -> None:
        self._settings = settings
        self._asking = asking

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._settings.max_body_bytes)
        request = parse(EmbeddingsRequest, body)
        caller = caller_of(req)
        submissions = [
            stateless_submission(caller, turn, self._asking, request.model)
            for turn in request.turns()
        ]
        replies = []
        for result in await self._asking.wait_together(submissions, req, resp):
            if result.end is None:
                raise no_outcome(result.accepted, may_retry=True)
            replies.append(orjson.loads(reply_of(result.accepted, result.end)))
        resp.media = embeddings_object(replies[0]["model"], request, replies)


def embeddings_object(
    model_name: str, request: EmbeddingsRequest, replies: Sequence[Reply]
) -> dict[str, Any]:
    """The vectors as OpenAI shows them.

    Raises:
        Problem: 422, the model's vectors have other dimensions than the client wants.
    """
    vectors = [vector for reply in replies for vector in reply["embeddings"]]
    size = len(base64.b64decode(vectors[0])) // _FLOAT_BYTES
    if request.dimensions not in (None, size):
        raise field_problem(
            "dimensions",
            f"the model's vectors have {size} dimensions, and its file does not tell whether "
            "fewer of them mean anything",
        )
    in_base64 = request.encoding_format == "base64"
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": vector if in_base64 else _floats(vector),
        }
        for index, vector in enumerate(vectors)
    ]
    prompt_tokens = sum(reply["usage"]["prompt_tokens"] for reply in replies)
    usage = {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}
    return {"object": "list", "model": model_name, "data": data, "usage": usage}


def _floats(vector: str) -> list[float]:
    """The numbers of a vector as workers write it: 32-bit floats, little-endian, in base64."""
    packed = base64.b64decode(vector)
    return list(struct.unpack(f"<{len(packed) // _FLOAT_BYTES}f", packed))
