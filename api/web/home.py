"""`/`: the chat page or a description of the API, and the address for prompts."""

from typing import Any

import falcon.asgi

from api.conversations.chat import ChatResource
from api.http.preferences import wants_html
from api.web.pages import HtmlPage


class HomeResource:
    """GET shows, POST chats.

    Args:
        description: what a client gets that does not prefer HTML.
    """

    def __init__(self, page: HtmlPage, description: dict[str, Any], chat: ChatResource) -> None:
        self._page = page
        self._description = description
        self.on_post = chat.on_post

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        if wants_html(req):
            self._page.write(resp)
        else:
            resp.append_header("Vary", "Accept")
            resp.media = self._description
