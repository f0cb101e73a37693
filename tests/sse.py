"""Reading server-sent events, as a client that resumes does."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson

from shared.wire.sse import EventDecoder, ServerSentEvent


@dataclass(frozen=True)
class Received:
    """One event as it came over the wire."""

    id: str
    kind: str
    data: Any


class OneOfEach(EventDecoder):
    """Stricter than the standard: each of our events has one id, one name and one line of data."""

    def __init__(self) -> None:
        super().__init__()
        self._fields: set[str] = set()

    def take_line(self, line: str) -> ServerSentEvent | None:
        name = line.partition(":")[0]
        assert name not in self._fields, "each event has one line of each"
        if name:
            self._fields.add(name)
        elif not line and self._fields:
            assert self._fields >= {"id", "event", "data"}
            self._fields.clear()
        return super().take_line(line)


def data_of(stream: bytes) -> list[Any]:
    """The JSON in the events of a whole stream."""
    return [orjson.loads(event.data) for event in EventDecoder().feed(stream)]


async def received_data(response: httpx.Response) -> AsyncIterator[Any]:
    """The JSON in the events of a response, as they come."""
    decoder = EventDecoder()
    async for chunk in response.aiter_bytes():
        for event in decoder.feed(chunk):
            yield orjson.loads(event.data)


async def received(response: httpx.Response) -> AsyncIterator[Received]:
    """The events of a response."""
    decoder = OneOfEach()
    async for chunk in response.aiter_bytes():
        for event in decoder.feed(chunk):
            yield Received(event.id, event.name, orjson.loads(event.data))


async def all_events(client: httpx.AsyncClient, path: str, **request: Any) -> list[Received]:
    """A stream to its end."""
    async with client.stream("GET", path, **request) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        return [event async for event in received(response)]


def text_of(events: list[Received]) -> str:
    """The pieces joined."""
    return "".join(event.data["text"] for event in events if event.kind == "token")
