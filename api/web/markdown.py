"""Replies as HTML: Markdown is rendered here, because a model's output is hostile input.

markdown-it-py with HTML off: tags stay text, links are http, https or mailto. Pictures are off as
well, because loading one would tell somebody else what was said.
"""

import asyncio
from typing import Any, Final
from urllib.parse import urlsplit

import falcon
import falcon.asgi
import orjson
from markdown_it import MarkdownIt
from pydantic import BaseModel, ConfigDict, Field, field_validator

from api.http.incoming import parse, read_json_object

_SCHEMES: Final = ("http", "https", "mailto")
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


class _Markdown(MarkdownIt):
    def validateLink(self, url: str) -> bool:
        """Only links that lead to another page: everything else stays text."""
        try:
            return urlsplit(url).scheme.lower() in _SCHEMES
        except ValueError:
            return False


def _make() -> MarkdownIt:
    markdown = _Markdown("commonmark", {"html": False, "breaks": True, "maxNesting": 20})
    markdown.enable(["table", "strikethrough"]).disable("image")
    markdown.add_render_rule("link_open", _link_open)
    markdown.add_render_rule("th_open", _cell_open)
    markdown.add_render_rule("td_open", _cell_open)
    return markdown


def _link_open(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    tokens[index].attrSet("rel", "noopener noreferrer nofollow")
    tokens[index].attrSet("target", "_blank")
    return str(renderer.renderToken(tokens, index, options, env))


def _cell_open(renderer: Any, tokens: Any, index: int, options: Any, env: Any) -> str:
    """The page's policy allows no styles in a tag: a column's alignment becomes a class."""
    if (style := tokens[index].attrs.pop("style", None)) is not None:
        tokens[index].attrSet("class", str(style).replace("text-align:", "to-the-"))
    return str(renderer.renderToken(tokens, index, options, env))


_MARKDOWN: Final = _make()


def to_html(text: str) -> str:
    """A text's Markdown as HTML without scripts, pictures, or links that run something."""
    return str(_MARKDOWN.render(text))


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
