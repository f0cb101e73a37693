"""A shared conversation as a page: HTML that is complete, and runs nothing."""

import asyncio
import html
from pathlib import Path
from string import Template
from typing import Final

from api.web.languages import Language
from api.web.rendering.render import to_html
from shared.wire.share import SharedConversation, SharedMessage

_TEMPLATE: Final = Template((Path(__file__).parent / "shared.html").read_text(encoding="utf-8"))
_MESSAGE: Final = Template(
    '<li class="message $role"><span class="visually-hidden">$who</span>'
    '<div class="$kind" dir="auto">$text</div></li>'
)
_WHO: Final = {"user": "who.user", "assistant": "who.bot"}
_ABOUT: Final = "shared.about"
_PLACE: Final = "\x00"
"""Where the day stands, while the text around it is made HTML."""
_LONGEST: Final = 200_000
"""Characters of a page's replies that are shown as Markdown; the rest is plain text."""


class SharedPage:
    """Renders one at a time, in a thread: replies made to take long keep nobody waiting."""

    def __init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()

    async def of(self, shared: SharedConversation, language: Language) -> str:
        """The page of a conversation, for readers of a language."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(page_of, shared, language)


def page_of(shared: SharedConversation, language: Language) -> str:
    """The page of a conversation, for readers of a language."""
    rendered, left = [], _LONGEST
    for message in shared["messages"]:
        is_markdown = message["role"] == "assistant" and len(message["content"]) <= left
        left -= len(message["content"]) if is_markdown else 0
        rendered.append(_shown(message, language, is_markdown=is_markdown))
    return _TEMPLATE.substitute(
        language=language.tag,
        direction=language.direction(_ABOUT),
        title=html.escape(shared["title"] or language.say("shared.untitled")),
        about=html.escape(language.say(_ABOUT, day=_PLACE)).replace(_PLACE, _day_of(shared)),
        messages="\n".join(rendered),
    )


def _day_of(shared: SharedConversation) -> str:
    at = shared["shared_at"]
    return f'<time datetime="{at}">{at.partition("T")[0]}</time>'


def _shown(message: SharedMessage, language: Language, *, is_markdown: bool) -> str:
    content = message["content"]
    return _MESSAGE.substitute(
        role=message["role"],
        who=html.escape(language.say("who.says", who=language.say(_WHO[message["role"]]))),
        kind="text" if is_markdown else "text plain",
        text=to_html(content) if is_markdown else html.escape(content),
    )
