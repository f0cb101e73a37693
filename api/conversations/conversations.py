"""`/conversations/{id}` and its messages."""

import re
from typing import Final

import falcon.asgi

from api.http.access import caller_of
from api.http.errors import Problem, field_problem
from shared.store.conversations import Conversations

_ID: Final = re.compile(r"[1-9][0-9]{0,15}")
_CURSOR: Final = re.compile(r"([0-9]{1,15}-)?[1-9][0-9]{0,15}")
_DEFAULT_LIMIT: Final = 50
_LARGEST_LIMIT: Final = 500
LARGEST_NUMBER: Final = 2**53


class ConversationsResource:
    """Lists the caller's own conversations, on servers with API keys only."""

    def __init__(self, conversations: Conversations, *, is_open: bool) -> None:
        self._conversations = conversations
        self._is_open = is_open

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        if self._is_open:
            raise Problem(404, "not_found", "without API keys conversations are not listed")
        limit = number_in(req, "limit", 1, _LARGEST_LIMIT) or _DEFAULT_LIMIT
        before = req.get_param("before")
        if before is not None and not _CURSOR.fullmatch(before):
            raise field_problem("before", "is not the `next` of a page")
        resp.media = await self._conversations.list(caller_of(req).owner_id, limit, before)


class ConversationResource:
    """Shows and deletes a conversation."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        owner_id = caller_of(req).owner_id
        state = await self._conversations.show(checked(conversation), owner_id)
        if state is None:
            raise not_found()
        resp.media = state

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        if not await self._conversations.delete(checked(conversation), caller_of(req).owner_id):
            raise not_found()
        resp.status = 204


class MessagesResource:
    """Pages through a conversation's messages."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        limit = number_in(req, "limit", 1, _LARGEST_LIMIT) or _DEFAULT_LIMIT
        before = number_in(req, "before", 1, LARGEST_NUMBER) or 0
        owner_id = caller_of(req).owner_id
        page = await self._conversations.page(checked(conversation), owner_id, limit, before)
        if page is None:
            raise not_found()
        resp.media = page.to_wire()


def checked(conversation_id: str) -> str:
    if not _ID.fullmatch(conversation_id):
        raise not_found()
    return conversation_id


def not_found() -> Problem:
    return Problem(404, "not_found", "there is no such conversation")


def number_in(req: falcon.asgi.Request, name: str, lowest: int, highest: int) -> int | None:
    value = req.get_param(name)
    if value is None:
        return None
    if not re.fullmatch("[0-9]{1,17}", value) or not lowest <= int(value) <= highest:
        raise field_problem(name, f"must be an integer from {lowest} to {highest}")
    return int(value)
