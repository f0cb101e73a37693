"""Waiting for events of a turn, as long as somebody is there to hear of them."""

import asyncio
import contextlib
from collections.abc import Callable

from api.http.errors import Problem
from api.http.incoming import Incoming
from api.live.watch import FeedLost, Watch
from shared.wire.event import Event
from shared.wire.parts import PART_OF_EVENT


class ClientLeft(Problem):
    """The client has left: this is not sent, but log and metrics show that it was not our error."""

    def __init__(self) -> None:
        super().__init__(499, "client_left", "the client has left")


def is_terminal(event: Event) -> bool:
    """Whether an event ends its turn."""
    return event.is_terminal


def shows_how_it_goes(event: Event) -> bool:
    """Whether an event is a piece of the reply, or the end of a turn."""
    return event.kind in PART_OF_EVENT or event.is_terminal


def end_of(events: list[Event]) -> Event | None:
    """The terminal event, if it is among these."""
    return events[-1] if events and events[-1].is_terminal else None


async def events_until(
    is_last: Callable[[Event], bool],
    watch: Watch,
    wait_s: float,
    only_reader: Incoming | None = None,
) -> list[Event]:
    """The events up to the one wanted, or those that came in time.

    Raises:
        ClientLeft: the only reader has left.
    """
    events: list[Event] = []
    try:
        async with asyncio.timeout(wait_s), _as_long_as_there(only_reader):
            is_complete = False
            while not is_complete:
                batch = await watch.events()
                events += batch
                is_complete = any(map(is_last, batch))
    except (TimeoutError, FeedLost):
        if only_reader is not None and only_reader.has_left:
            raise ClientLeft from None
    return events


def _as_long_as_there(
    reader: Incoming | None,
) -> contextlib.AbstractAsyncContextManager[None]:
    return contextlib.nullcontext() if reader is None else reader.watched()
