"""`/conversations/{id}/share`, and `/shared/{share}` for whoever has the link."""

import re
from typing import Final

import falcon
import falcon.asgi

from api.conversations.conversations import checked, not_found
from api.http.access import caller_of, note_hit
from api.http.errors import Problem
from api.http.preferences import wants_html
from api.live.headroom import Headroom
from api.sharing.page import SharedPage
from api.web.languages import Languages
from shared import ids
from shared.store.conversations import Conversations
from shared.store.shares import Shares

SHARE_ID: Final = "^[0-9a-f]{32}$"


class ShareResource:
    """Makes a link to a conversation, shows it, and takes it back.

    Args:
        is_on: whether this server has such links.
    """

    def __init__(
        self, shares: Shares, conversations: Conversations, headroom: Headroom, *, is_on: bool
    ) -> None:
        self._shares = shares
        self._conversations = conversations
        self._headroom = headroom
        self._is_on = is_on

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        _check_on(req, is_on=self._is_on)
        owner_id = caller_of(req).owner_id
        share = await self._shares.of(checked(conversation), owner_id)
        if share is None:
            if await self._conversations.show(conversation, owner_id) is not None:
                note_hit(req)
            raise Problem(404, "not_found", "there is no link to this conversation")
        resp.media = share

    async def on_put(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        _check_on(req, is_on=self._is_on)
        self._headroom.check()
        owner_id = caller_of(req).owner_id
        state = await self._conversations.show(checked(conversation), owner_id)
        if state is None:
            raise not_found()
        share = await self._shares.share(
            conversation, owner_id, share_id=ids.new_share(), title=state["title"] or ""
        )
        if share is None:
            raise not_found()
        resp.media = share

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        _check_on(req, is_on=self._is_on)
        if not await self._shares.unshare(checked(conversation), caller_of(req).owner_id):
            raise not_found()
        resp.status = 204


class SharedResource:
    """Shows a shared conversation to everybody who knows its link.

    Args:
        is_on: whether this server has such links.
    """

    def __init__(self, shares: Shares, *, is_on: bool) -> None:
        self._shares = shares
        self._page = SharedPage()
        self._languages = Languages()
        self._is_on = is_on

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, share: str
    ) -> None:
        _check_on(req, is_on=self._is_on)
        shared = await self._shares.read(share) if re.fullmatch(SHARE_ID, share) else None
        if shared is None:
            raise Problem(404, "not_found", "there is no such link")
        resp.set_header("X-Robots-Tag", "noindex")
        resp.set_header("Cache-Control", "no-store")
        resp.append_header("Vary", "Accept, Accept-Language")
        if wants_html(req):
            language = self._languages.wanted(req.get_header("Accept-Language") or "")
            resp.content_type, resp.text = falcon.MEDIA_HTML, await self._page.of(shared, language)
        else:
            resp.media = shared


def _check_on(req: falcon.asgi.Request, *, is_on: bool) -> None:
    if not is_on:
        note_hit(req)
        raise Problem(404, "not_found", "this server shares no conversations (PALAVER_SHARING)")
