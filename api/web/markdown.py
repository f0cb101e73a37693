"""The route that renders Markdown for the chat page: a model's output is hostile input."""

import asyncio
from typing import Final

import falcon
import falcon.asgi
import orjson
from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.http.incoming import parse, read_json_object
from api.web.rendering.render import to_html

_MOST_TEXTS: Final = 20
_LONGEST: Final = 100_000
"""Characters of all texts together."""


class Texts(BaseModel):
    """What to render."""

    model_config = ConfigDict(extra="forbid", strict=True)

    texts: list[str] = Field(max_length=_MOST_TEXTS)

    @field_validator("texts")
    @classmethod
    def _check_length(cls, texts: list[str]) -> list[str]:
        if sum(map(len, texts)) > _LONGEST:
            raise ValueError(f"must have at most {_LONGEST} characters together")
        return texts


class MarkdownResource:
    """Renders for the chat page.

    Args:
        max_bytes: of a request.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._one_at_a_time = asyncio.Lock()

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._max_bytes)
        texts = parse(Texts, body).texts
        # In a thread, and one: texts made to take long must not keep other requests waiting.
        async with self._one_at_a_time:
            html = await asyncio.to_thread(lambda: [to_html(text) for text in texts])
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps({"html": html})
