"""`/v1/conversations`: the same conversations as under `/conversations`."""

from typing import Any, Final

import falcon
import falcon.asgi
import orjson

from api.access import caller_of
from api.body import read_json_object
from api.errors import Problem, field_problem, parse
from api.headroom import Headroom
from api.openai.objects import CONVERSATION, is_item, item_of, item_order
from api.openai.queries import ItemQuery
from api.openai.response_requests import ConversationUpdate, NewConversation
from api.openai.responses import conversation_id, show_response
from api.waiting import tell_allowance
from shared import ids
from shared.conversations import Conversations

_READ_AT_ONCE: Final = 500
_NO_METADATA: Final = "{}"


class NewConversationResource:
    """Makes conversations."""

    def __init__(
        self, conversations: Conversations, headroom: Headroom, max_body_bytes: int
    ) -> None:
        self._conversations = conversations
        self._headroom = headroom
        self._max_body_bytes = max_body_bytes

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        request = parse(NewConversation, body)
        self._headroom.check()
        caller = caller_of(req)
        metadata = orjson.dumps(request.metadata or {}).decode()
        begun = None
        while begun is None:
            begun = await self._conversations.begin(ids.new_conversation(), caller, metadata)
        tell_allowance(begun.allowance, resp)
        show_response(await shown(self._conversations, begun.conversation, caller.owner), resp)


class OpenAiConversationResource:
    """Shows, relabels and deletes a conversation."""

    def __init__(self, conversations: Conversations, max_body_bytes: int) -> None:
        self._conversations = conversations
        self._max_body_bytes = max_body_bytes

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        name, owner = found(conversation), caller_of(req).owner
        show_response(await shown(self._conversations, name, owner), resp)

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        metadata = orjson.dumps(parse(ConversationUpdate, body).metadata or {}).decode()
        name, owner = found(conversation), caller_of(req).owner
        show_response(await shown(self._conversations, name, owner, metadata), resp)

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        if not await self._conversations.delete(found(conversation), caller_of(req).owner):
            raise _not_found()
        gone = {"id": conversation, "object": "conversation.deleted", "deleted": True}
        show_response(gone, resp)


class ItemsResource:
    """Lists a conversation's messages as items."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        query = ItemQuery(req)
        if query.after is not None and not is_item(query.after):
            raise field_problem("after", "is not the id of an item (msg_…)")
        name, owner = found(conversation), caller_of(req).owner
        items = await self._items(name, owner, query.order, query.after, query.limit + 1)
        show_response(query.page(items), resp)

    async def _items(
        self, conversation: str, owner: str, order: str, after: str | None, most: int
    ) -> list[dict[str, Any]]:
        """The first `most` items behind `after`; the newest first reads no more than it must."""
        items: list[dict[str, Any]] = []
        before: int | None = 0
        while before is not None:
            size = most if after is None and order == "desc" else _READ_AT_ONCE
            page = await self._conversations.page(conversation, owner, size, before)
            if page is None:
                raise _not_found()
            items += [item_of(message) for message in reversed(page.messages)]
            before = page.next
            if order == "desc" and len(behind := _behind(items, after, order)) >= most:
                return behind[:most]
        if order == "asc":
            items.reverse()
        return _behind(items, after, order)[:most]


def _behind(items: list[dict[str, Any]], after: str | None, order: str) -> list[dict[str, Any]]:
    """What follows an item; of one that is gone, what would: ids begin with their turn's time."""
    if after is None:
        return items
    ids = [item["id"] for item in items]
    if after in ids:
        return items[ids.index(after) + 1 :]
    place = item_order(after)
    return [item for item in items if (item_order(item["id"]) > place) == (order == "asc")]


def found(conversation: str) -> str:
    """The conversation behind an id in a path.

    Raises:
        Problem: 404, it is no such id.
    """
    try:
        return conversation_id(conversation)
    except Problem:
        raise _not_found() from None


async def shown(
    conversations: Conversations, conversation: str, owner: str, metadata: str | None = None
) -> dict[str, Any]:
    """A conversation as OpenAI shows it.

    Raises:
        Problem: 404.
    """
    label = await conversations.label(conversation, owner, metadata)
    if label is None:
        raise _not_found()
    created_ms, labels = label
    return {
        "id": f"{CONVERSATION}{conversation}",
        "object": "conversation",
        "created_at": created_ms // 1000,
        "metadata": orjson.loads(labels or _NO_METADATA),
    }


def _not_found() -> Problem:
    return Problem(404, "not_found", "there is no such conversation")
