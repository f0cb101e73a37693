"""One way to a reply for every dialect: what it subscribes to, and what it gives back."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import httpx
import orjson
import pytest
from falcon.asgi import SSEvent
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from api.live.stream import ReleasingStream
from shared.config import Settings
from shared.store.keys import Keys
from tests.scripted import ScriptedEngine, failing
from tests.servers import running_stack

COMPLETION = {"model": "any", "messages": [{"role": "user", "content": "?"}], "stream": True}
STREAMS = [
    ("/v1/chat/completions", COMPLETION),
    ("/v1/responses", {"input": "?", "stream": True}),
    ("/v1/responses", {"input": "?", "stream": True, "store": False}),
]


@pytest.fixture
def channels(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every channel that was subscribed to in this process, as often as it was."""
    subscribed: list[str] = []
    subscribe = PubSub.subscribe

    async def counting(pubsub: PubSub, *names: str) -> None:
        subscribed.extend(names)
        await subscribe(pubsub, *names)

    monkeypatch.setattr(PubSub, "subscribe", counting)
    return subscribed


@pytest.mark.parametrize(("path", "body"), STREAMS)
async def test_a_stream_subscribes_once(
    settings: Settings, keys: Keys, channels: list[str], path: str, body: dict[str, Any]
) -> None:
    async with running_stack(settings, ScriptedEngine(piece_length=3)) as stack:
        answer = await stack.client.post(path, json=body)
    assert answer.status_code == 200, answer.text
    doorbells = [name for name in channels if name.startswith(keys.doorbell(""))]
    assert len(doorbells) == 1


@pytest.mark.parametrize(("path", "body"), STREAMS)
async def test_a_stream_of_a_turn_that_fails_at_once_keeps_no_subscription(
    settings: Settings, redis: Redis, keys: Keys, path: str, body: dict[str, Any]
) -> None:
    async with running_stack(settings, ScriptedEngine(failing)) as stack:
        answer = await stack.client.post(path, json=body)
        async with asyncio.timeout(10):
            while await redis.pubsub_channels(keys.doorbell("*")):
                await asyncio.sleep(0.01)
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("application/json")


async def test_pieces_that_came_before_the_stream_opened_are_in_it(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(piece_length=1)) as stack:
        answer = await stack.client.post("/v1/chat/completions", json=COMPLETION)
    assert text_of(answer) == "You said: ?"


def text_of(answer: httpx.Response) -> str:
    chunks = answer.text.split("\n\n")
    data = [chunk.removeprefix("data: ") for chunk in chunks if chunk.startswith("data: {")]
    pieces = [orjson.loads(piece)["choices"][0]["delta"] for piece in data]
    return "".join(piece.get("content", "") for piece in pieces)


async def events() -> AsyncGenerator[SSEvent | None, None]:
    yield SSEvent(data=b"1")
    yield SSEvent(data=b"2")


@pytest.mark.parametrize("read", [0, 1])
async def test_a_stream_gives_back_what_it_holds_however_little_of_it_was_read(read: int) -> None:
    given_back: list[str] = []
    held = contextlib.AsyncExitStack()
    held.callback(given_back.append, "all of it")
    stream = ReleasingStream(events(), held)
    for _ in range(read):
        await anext(stream)
    await stream.aclose()
    await stream.aclose()
    assert given_back == ["all of it"]
