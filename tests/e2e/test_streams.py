"""Live streams through real processes: two APIs, two workers, the real model."""

import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.processes import Palaver, another_api
from tests.sse import Received, all_events, received, text_of

Apis = tuple[httpx.AsyncClient, httpx.AsyncClient]
PROMPT = {"prompt": "Tell me about the sea.", "max_tokens": 48, "ignore_eos": True}


@pytest.fixture(scope="module")
def other_url(palaver: Palaver) -> Iterator[str]:
    with another_api(palaver) as url:
        yield url


@pytest.fixture
async def apis(palaver: Palaver, other_url: str) -> AsyncIterator[Apis]:
    """Clients of two API processes on one Redis."""
    async with (
        httpx.AsyncClient(base_url=palaver.url, timeout=60) as one,
        httpx.AsyncClient(base_url=other_url, timeout=60) as other,
    ):
        yield one, other


async def accepted(client: httpx.AsyncClient, **fields: Any) -> dict[str, Any]:
    response = await client.post("/jobs", json=PROMPT | fields)
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


async def stored_reply(client: httpx.AsyncClient, job: dict[str, Any]) -> str:
    """What the conversation holds."""
    page = (await client.get(f"/conversations/{job['id']}/messages")).json()
    prompt, reply = page["messages"]
    assert prompt["job"] == reply["job"] == job["job"]
    return str(reply["content"])


async def first_events(
    client: httpx.AsyncClient, job: dict[str, Any], count: int, after: str | None = None
) -> list[Received]:
    """So many events of a stream, which is cut off then; fewer if it ends before."""
    headers = {"Last-Event-ID": after} if after is not None else {}
    events = []
    async with client.stream("GET", job["links"]["events"], headers=headers) as response:
        assert response.status_code == 200
        async for event in received(response):
            events.append(event)
            if len(events) == count:
                break
    return events


async def test_a_stream_cut_at_every_event_goes_on_at_the_other_api(apis: Apis) -> None:
    job = await accepted(apis[0])
    events: list[Received] = []
    for client in itertools.cycle(apis):
        after = events[-1].id if events else None
        events += await first_events(client, job, 1, after)
        if events[-1].kind == "completed":
            break
    assert [event.kind for event in events[:2]] == ["queued", "started"]
    assert len(events) > 4, "it came in pieces"
    reply = await stored_reply(apis[0], job)
    assert text_of(events) == events[-1].data["reply"] == reply
    # The same after the end: all the rest at once, behind every event in turn.
    for cut, event in enumerate(events[:-1]):
        rest = await all_events(apis[cut % 2], job["links"]["events"], params={"after": event.id})
        assert text_of(events[: cut + 1] + rest) == reply
        assert [one.id for one in rest] == [one.id for one in events[cut + 1 :]]
    seen = await apis[1].get(job["links"]["events"], params={"after": events[-1].id})
    assert seen.status_code == 204


@pytest.mark.parametrize("cut", range(1, 7))
async def test_a_running_stream_cut_once_goes_on_at_the_other_api(apis: Apis, cut: int) -> None:
    one, other = apis if cut % 2 else apis[::-1]
    job = await accepted(one)
    events = await first_events(other, job, cut)
    rest = await all_events(one, job["links"]["events"], headers={"Last-Event-ID": events[-1].id})
    reply = await stored_reply(other, job)
    assert text_of(events + rest) == rest[-1].data["reply"] == reply
    assert len({event.id for event in events + rest}) == len(events + rest)
