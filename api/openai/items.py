"""`/v1/conversations/{id}/items`: a conversation's messages as items."""

from typing import Any, Final

import falcon
import falcon.asgi

from api.http.access import caller_of
from api.http.body import read_json_object
from api.http.errors import Problem, field_problem, parse
from api.live.headroom import Headroom
from api.live.intake import asked_again
from api.live.waiting import tell_allowance
from api.openai.conversations import found, no_conversation
from api.openai.objects import is_item, item_of, item_order
from api.openai.queries import ItemQuery, Query, listed
from api.openai.response_requests import NewItems, brought_along
from api.openai.responses import show_response
from shared import ids
from shared.store.conversations import Conversations

_READ_AT_ONCE: Final = 500


class ItemsResource:
    """Lists items, and adds some without asking for a reply."""

    def __init__(
        self, conversations: Conversations, headroom: Headroom, max_body_bytes: int
    ) -> None:
        self._conversations = conversations
        self._headroom = headroom
        self._max_body_bytes = max_body_bytes

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        query = ItemQuery(req)
        if query.after is not None and not is_item(query.after):
            raise field_problem("after", "is not the id of an item (msg_…)")
        name, owner = found(conversation), caller_of(req).owner_id
        items = await self._items(name, owner, query.order, query.after, query.limit + 1)
        show_response(query.page(items), resp)

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        batch, name, caller = ids.new_job(), found(conversation), caller_of(req)
        messages = brought_along(batch, parse(NewItems, body).items)
        self._headroom.check()
        added = await asked_again(lambda: self._conversations.add(name, caller, batch, messages))
        tell_allowance(added.allowance, resp)
        show_response(listed([item_of(message) for message in messages]), resp)

    async def _items(
        self, conversation_id: str, owner_id: str, order: str, after: str | None, most: int
    ) -> list[dict[str, Any]]:
        """The first `most` items behind `after`; the newest first reads no more than it must."""
        items: list[dict[str, Any]] = []
        before: int | None = 0
        while before is not None:
            size = most if after is None and order == "desc" else _READ_AT_ONCE
            page = await self._conversations.page(conversation_id, owner_id, size, before)
            if page is None:
                raise no_conversation()
            items += [item_of(message) for message in reversed(page.messages)]
            before = page.next
            if order == "desc" and len(behind := _behind(items, after, order)) >= most:
                return behind[:most]
        if order == "asc":
            items.reverse()
        return _behind(items, after, order)[:most]


class ItemResource:
    """Shows one item."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str, item: str
    ) -> None:
        Query(req)
        name, owner = found(conversation), caller_of(req).owner_id
        before: int | None = 0
        while before is not None:
            page = await self._conversations.page(name, owner, _READ_AT_ONCE, before)
            if page is None:
                raise no_conversation()
            for message in page.messages:
                if (one := item_of(message))["id"] == item:
                    return show_response(one, resp)
            before = page.next
        raise Problem(404, "not_found", "there is no such item")

    async def on_delete(
        self, _req: falcon.asgi.Request, _resp: falcon.asgi.Response, conversation: str, item: str
    ) -> None:
        detail = f"items are not deleted one by one here: {item} goes with {conversation}"
        raise Problem(404, "not_supported", detail)


def _behind(items: list[dict[str, Any]], after: str | None, order: str) -> list[dict[str, Any]]:
    """What follows an item; of one that is gone, what would: ids begin with their turn's time."""
    if after is None:
        return items
    ids = [item["id"] for item in items]
    if after in ids:
        return items[ids.index(after) + 1 :]
    place = item_order(after)
    return [item for item in items if (item_order(item["id"]) > place) == (order == "asc")]
