"""`/conversations`, `/conversations/{id}` and its messages."""

import re
from typing import Final

import falcon.asgi

from api.conversations.bodies import ConversationChanges, MessageChanges
from api.conversations.imports import ConversationStart
from api.http.access import caller_of
from api.http.errors import Problem, field_problem
from api.http.incoming import parse, read_json_object
from api.live.asking import write_allowance
from api.live.beginning import begun_with
from api.live.headroom import Headroom
from shared import ids
from shared.config import Settings
from shared.id_source import IdSource
from shared.store.conversations import Conversations
from shared.store.search import Search, SearchCursor
from shared.wire.objects import message_object
from shared.wire.search_query import SearchQuery

_ID: Final = re.compile(r"[1-9][0-9]{0,15}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,15}")
_CURSOR: Final = re.compile(r"([0-9]{1,15}-)?[1-9][0-9]{0,15}(\.[1-9][0-9]{0,15})?")
_LONGEST_QUERY: Final = 200
_DEFAULT_LIMIT: Final = 50
_LARGEST_LIMIT: Final = 500
LARGEST_NUMBER: Final = 2**53


class ConversationsResource:
    """Lists the caller's own conversations, and begins one without a turn.

    Args:
        is_listed: whether the caller may see them: without API keys all are everybody's.
    """

    def __init__(
        self,
        settings: Settings,
        conversations: Conversations,
        search: Search,
        headroom: Headroom,
        id_source: IdSource,
        *,
        is_listed: bool,
    ) -> None:
        self._id_source = id_source
        self._max_body_bytes = settings.max_body_bytes
        self._default_context = settings.default_context
        self._conversations = conversations
        self._search = search
        self._headroom = headroom
        self._is_listed = is_listed

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        check_listed(is_listed=self._is_listed)
        limit = number_in(req, "limit", 1, _LARGEST_LIMIT) or _DEFAULT_LIMIT
        owner_id, query, before = caller_of(req).owner_id, req.get_param("query"), _cursor(req)
        only_pinned = flag_in(req, "pinned")
        if query is not None:
            after = None if before is None else SearchCursor.decode(before)
            resp.media = await self._search.page(
                owner_id, _parsed(query), limit, after, only_pinned=only_pinned
            )
        else:
            resp.media = await self._conversations.list(
                owner_id, limit, before, only_pinned=only_pinned
            )

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        start = parse(ConversationStart, body)
        self._headroom.check()
        caller = caller_of(req)
        beginning = start.beginning(ids.new_job(), self._default_context)
        begun = await begun_with(self._conversations, self._id_source, caller, beginning)
        write_allowance(resp, begun.allowance)
        resp.status = 201
        resp.set_header("Location", f"/conversations/{begun.conversation_id}")
        resp.media = await self._conversations.show(begun.conversation_id, caller.owner_id)


def _cursor(req: falcon.asgi.Request) -> str | None:
    before = req.get_param("before")
    if before is not None and not _CURSOR.fullmatch(before):
        raise field_problem("before", "is not the `next` of a page")
    return before


def flag_in(req: falcon.asgi.Request, name: str) -> bool:
    value = req.get_param(name)
    if value not in (None, "true"):
        raise field_problem(name, "must be `true`, or left out")
    return value is not None


def _parsed(text: str) -> SearchQuery:
    if len(text) > _LONGEST_QUERY:
        raise field_problem("query", f"must have at most {_LONGEST_QUERY} characters")
    return SearchQuery.parse(text)


def check_listed(*, is_listed: bool) -> None:
    """Check that conversations are listed.

    Raises:
        Problem: 404, nobody may see them all.
    """
    if not is_listed:
        detail = "without API keys this server does not list conversations (PALAVER_OPEN_LIST)"
        raise Problem(404, "not_found", detail)


class ConversationResource:
    """Shows, changes and deletes a conversation."""

    def __init__(
        self, conversations: Conversations, headroom: Headroom, max_body_bytes: int
    ) -> None:
        self._conversations = conversations
        self._headroom = headroom
        self._max_body_bytes = max_body_bytes

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        owner_id = caller_of(req).owner_id
        state = await self._conversations.show(checked(conversation), owner_id)
        if state is None:
            raise not_found()
        resp.media = state

    async def on_patch(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        edit = parse(ConversationChanges, body).edit()
        self._headroom.check()
        owner_id = caller_of(req).owner_id
        state = await self._conversations.edit(checked(conversation), owner_id, edit)
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
        limit, before = page_in(req)
        owner_id = caller_of(req).owner_id
        page = await self._conversations.page(checked(conversation), owner_id, limit, before)
        if page is None:
            raise not_found()
        resp.media = page.to_wire()


class MessageResource:
    """Pins a message, or takes its pin away."""

    def __init__(
        self, conversations: Conversations, headroom: Headroom, max_body_bytes: int
    ) -> None:
        self._conversations = conversations
        self._headroom = headroom
        self._max_body_bytes = max_body_bytes

    async def on_patch(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str, number: str
    ) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        changes = parse(MessageChanges, body)
        self._headroom.check()
        if not _NUMBER.fullmatch(number):
            raise no_such_message()
        message = await self._conversations.pin(
            checked(conversation),
            caller_of(req).owner_id,
            int(number),
            is_pinned=changes.pinned,
        )
        if message is None:
            raise no_such_message()
        resp.media = message_object(message)


def no_such_message() -> Problem:
    return Problem(404, "not_found", "there is no such message")


def checked(conversation_id: str) -> str:
    if not _ID.fullmatch(conversation_id):
        raise not_found()
    return conversation_id


def not_found() -> Problem:
    return Problem(404, "not_found", "there is no such conversation")


def page_in(req: falcon.asgi.Request) -> tuple[int, int]:
    """How many messages are wanted, and below which number; 0: any."""
    limit = number_in(req, "limit", 1, _LARGEST_LIMIT) or _DEFAULT_LIMIT
    return limit, number_in(req, "before", 1, LARGEST_NUMBER) or 0


def number_in(req: falcon.asgi.Request, name: str, lowest: int, highest: int) -> int | None:
    value = req.get_param(name)
    if value is None:
        return None
    if not re.fullmatch("[0-9]{1,17}", value) or not lowest <= int(value) <= highest:
        raise field_problem(name, f"must be an integer from {lowest} to {highest}")
    return int(value)
