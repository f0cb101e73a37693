"""`/conversations/{id}/alternatives`: what edits and retries have replaced."""

import re
from typing import Final

import falcon.asgi

from api.conversations.conversations import (
    LARGEST_NUMBER,
    checked,
    flag_in,
    not_found,
    number_in,
    page_in,
)
from api.http.access import caller_of
from shared.errors import NoSuchAlternative
from shared.store.alternatives import Alternatives
from shared.store.conversations import Conversations

_ID: Final = re.compile(r"[1-9][0-9]{0,15}-[0-9a-f]{32}")


class AlternativesResource:
    """Lists the tails that once stood in a conversation."""

    def __init__(self, alternatives: Alternatives) -> None:
        self._alternatives = alternatives

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        number = number_in(req, "number", 1, LARGEST_NUMBER)
        owner_id = caller_of(req).owner_id
        listing = self._alternatives.all if flag_in(req, "all") else self._alternatives.list
        listed = await listing(checked(conversation), owner_id, number)
        resp.media = {"alternatives": [alternative.to_wire() for alternative in listed]}


class AlternativeResource:
    """Puts one of them back."""

    def __init__(self, alternatives: Alternatives, conversations: Conversations) -> None:
        self._alternatives = alternatives
        self._conversations = conversations

    async def on_post(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        conversation: str,
        alternative: str,
    ) -> None:
        owner_id = caller_of(req).owner_id
        await self._alternatives.switch(checked(conversation), owner_id, _checked(alternative))
        state = await self._conversations.show(conversation, owner_id)
        if state is None:
            raise not_found()
        resp.media = state


class AlternativeMessagesResource:
    """Pages through the messages of one."""

    def __init__(self, alternatives: Alternatives) -> None:
        self._alternatives = alternatives

    async def on_get(
        self,
        req: falcon.asgi.Request,
        resp: falcon.asgi.Response,
        conversation: str,
        alternative: str,
    ) -> None:
        owner_id = caller_of(req).owner_id
        tail = checked(conversation), owner_id, _checked(alternative)
        page = await self._alternatives.page(*tail, *page_in(req))
        resp.media = page.to_wire()


def _checked(alternative_id: str) -> str:
    if not _ID.fullmatch(alternative_id):
        raise NoSuchAlternative("there is no such alternative")
    return alternative_id
