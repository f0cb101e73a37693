"""`/v1/conversations/{id}/items`: a conversation's messages as items."""

from typing import Any, Final

import falcon.asgi

from api.http.access import caller_of
from api.http.errors import Problem, field_problem
from api.http.incoming import parse, read_json_object
from api.live.asking import retried, write_allowance
from api.live.headroom import Headroom
from api.openai.conversation_requests import NewItems, stored_messages
from api.openai.ids import conversation_id_in_path, is_item_id, item_order, no_such_conversation
from api.openai.objects import items_of_stored
from api.openai.queries import ItemQuery, Query, list_object
from shared import ids
from shared.store.conversations import Conversations

_PAGE: Final = 500
"""Messages that are read from Redis at once."""


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
        if query.after is not None and not is_item_id(query.after):
            raise field_problem("after", "is not the id of an item")
        conversation_id, owner_id = conversation_id_in_path(conversation), caller_of(req).owner_id
        resp.media = query.page(await self._items(conversation_id, owner_id, query))

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        Query(req)
        body = await read_json_object(req, self._max_body_bytes)
        batch_id, caller = ids.new_job(), caller_of(req)
        conversation_id = conversation_id_in_path(conversation)
        messages = stored_messages(batch_id, parse(NewItems, body).items)
        self._headroom.check()
        added = await retried(
            lambda: self._conversations.add(conversation_id, caller, batch_id, messages)
        )
        write_allowance(resp, added.allowance)
        resp.media = list_object(
            [item for message in messages for item in items_of_stored(message)]
        )

    async def _items(
        self, conversation_id: str, owner_id: str, query: ItemQuery
    ) -> list[dict[str, Any]]:
        """What the query wants, and one item more if there is one.

        From the newest on, no more is read than is needed.
        """
        count, is_newest_first = query.limit + 1, query.order == "desc"
        page_size = count if query.after is None and is_newest_first else _PAGE
        items: list[dict[str, Any]] = []
        before: int | None = 0
        while before is not None:
            page = await self._conversations.page(conversation_id, owner_id, page_size, before)
            if page is None:
                raise no_such_conversation()
            for message in reversed(page.messages):
                items += reversed(items_of_stored(message))
            before = page.next
            if is_newest_first and len(wanted := _items_after(query, items)) >= count:
                return wanted[:count]
        if not is_newest_first:
            items.reverse()
        return _items_after(query, items)[:count]


class ItemResource:
    """Shows one item."""

    def __init__(self, conversations: Conversations) -> None:
        self._conversations = conversations

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str, item: str
    ) -> None:
        Query(req)
        conversation_id, owner_id = conversation_id_in_path(conversation), caller_of(req).owner_id
        before: int | None = 0
        while before is not None:
            page = await self._conversations.page(conversation_id, owner_id, _PAGE, before)
            if page is None:
                raise no_such_conversation()
            for message in page.messages:
                for shown in items_of_stored(message):
                    if shown["id"] == item:
                        resp.media = shown
                        return
            before = page.next
        raise Problem(404, "not_found", "there is no such item")

    async def on_delete(
        self, _req: falcon.asgi.Request, _resp: falcon.asgi.Response, conversation: str, item: str
    ) -> None:
        detail = f"single items cannot be deleted here: {item} is deleted with {conversation}"
        raise Problem(404, "not_supported", detail)


def _items_after(query: ItemQuery, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The items that follow `query.after`, or would if it were still there.

    Ids begin with the time of their turn.
    """
    if query.after is None:
        return items
    item_ids = [item["id"] for item in items]
    if query.after in item_ids:
        return items[item_ids.index(query.after) + 1 :]
    position, is_oldest_first = item_order(query.after), query.order == "asc"
    return [item for item in items if (item_order(item["id"]) > position) == is_oldest_first]
