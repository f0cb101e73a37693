"""`/conversations/{id}/alternatives`: what edits and retries have replaced."""

import re
from typing import Final

import falcon.asgi

from api.conversations.conversations import LARGEST_NUMBER, checked, not_found, number_in
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
        listed = await self._alternatives.list(checked(conversation), owner_id, number)
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
        if not _ID.fullmatch(alternative):
            raise NoSuchAlternative("there is no such alternative")
        await self._alternatives.switch(checked(conversation), owner_id, alternative)
        state = await self._conversations.show(conversation, owner_id)
        if state is None:
            raise not_found()
        resp.media = state
