"""Reading server-sent events, as a client that resumes does."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson


@dataclass(frozen=True)
class Received:
    """One event as it came over the wire."""

    id: str
    kind: str
    data: Any


async def received(response: httpx.Response) -> AsyncIterator[Received]:
    """The events of a response."""
    fields: dict[str, str] = {}
    async for line in response.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            assert name not in fields, "each event has one line of each"
            fields[name] = value
        elif fields:
            yield Received(fields["id"], fields["event"], orjson.loads(fields["data"]))
            fields = {}


async def all_events(client: httpx.AsyncClient, path: str, **request: Any) -> list[Received]:
    """A stream to its end."""
    async with client.stream("GET", path, **request) as response:
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        return [event async for event in received(response)]


def text_of(events: list[Received]) -> str:
    """The pieces joined."""
    return "".join(event.data["text"] for event in events if event.kind == "token")
