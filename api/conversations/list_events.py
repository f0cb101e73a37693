"""`/conversations/events`: a list of conversations that follows what happens elsewhere."""

from collections.abc import AsyncIterator, Iterable

import falcon.asgi
import orjson
from falcon.asgi import SSEvent
from typing_extensions import TypedDict

from api.conversations.conversations import check_listed
from api.http.access import caller_of
from api.live.feed import EventFeed
from api.live.stream import open_stream, requested_position, translated
from shared.store.list_log import ListLog
from shared.wire.event import Event
from shared.wire.timestamps import rfc3339


class ListChange(TypedDict):
    """A conversation was begun, asked, used or changed, or is gone; when it was used last."""

    id: int
    updated_at: str


class ListReset(TypedDict):
    """What happened since `Last-Event-ID` is not known any more: load the list again."""


LIST_EVENTS: dict[str, type] = {
    "created": ListChange,
    "changed": ListChange,
    "deleted": ListChange,
    "reset": ListReset,
}


class ListEventsResource:
    """Streams the changes of the caller's list, from now on or behind `Last-Event-ID`.

    Args:
        is_listed: whether the caller may see the list.
    """

    def __init__(self, feed: EventFeed, changes: ListLog, *, is_listed: bool) -> None:
        self._feed = feed
        self._changes = changes
        self._is_listed = is_listed

    async def on_get(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        check_listed(is_listed=self._is_listed)
        owner_id = caller_of(req).owner_id
        after = requested_position(req)
        reset = None if after is None else await self._reset(owner_id, after)
        after = reset.id if reset else after or await self._changes.position(owner_id)
        open_stream(resp, self._follow(owner_id, after, reset))

    async def _reset(self, owner_id: str, after: str) -> Event | None:
        """The event for a client that was away for too long, or whose id was lost with the data."""
        changes = await self._changes.follow(owner_id, after)
        return changes[0] if changes and changes[0].kind == "reset" else None

    async def _follow(
        self, owner_id: str, after: str, reset: Event | None
    ) -> AsyncIterator[SSEvent | None]:
        async with self._feed.watch_list(owner_id, self._changes, after) as watch:
            # At once: the client sees that it is connected, and may load the list.
            yield None
            if reset:
                yield _for_clients(reset)
            async for event in translated(watch, _translated):
                yield event


async def _translated(event: Event) -> Iterable[SSEvent]:
    return (_for_clients(event),)


def _for_clients(event: Event) -> SSEvent:
    data = event.data.encode()
    if event.kind != "reset":
        stored = orjson.loads(data)
        change = ListChange(id=stored["id"], updated_at=rfc3339(stored["updated"]))
        data = orjson.dumps(change)
    return SSEvent(data=data, event=event.kind, event_id=event.id)
