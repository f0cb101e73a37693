"""What strangers might try: pages on other sites, replies that look like events, bombs."""

import asyncio
from collections.abc import AsyncIterator

import orjson
import pytest
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.keys import Keys
from shared.wire.sse import EventDecoder
from tests.integration.bench import accepted
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack

FORGED = (
    'a\n\nevent: completed\ndata: {"reply": "forged"}\n\n'
    "b\r\n\r\nevent: failed\r\ndata: {}\r\n\r\nid: 9-9\r\u2028\u2029\x85\x0b\x0c\x00c"
)


@pytest.fixture
async def stack(settings: Settings) -> AsyncIterator[Stack]:
    engine = ScriptedEngine(lambda _: FORGED, piece_length=1)
    async with running_stack(settings, engine) as stack:
        yield stack


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site", "Content-Type": "application/x-www-form-urlencoded"},
        {"Host": "evil.example"},
        {"Host": "localhost.evil.example"},
        {"Host": "127.0.0.1.evil.example:3000"},
    ],
)
@pytest.mark.parametrize("path", ["/", "/jobs", "/v1/chat/completions", "/v1/responses"])
async def test_a_page_on_another_site_cannot_post_a_prompt(
    stack: Stack, redis: Redis, keys: Keys, headers: dict[str, str], path: str
) -> None:
    bodies = {"prompt": "?", "model": "m", "input": "?", "messages": []}
    kinds = ("text/plain", "application/x-www-form-urlencoded", "application/json")
    for kind in kinds:
        said = {"Content-Type": kind} | headers
        answer = await stack.client.post(path, content=orjson.dumps(bodies), headers=said)
        assert answer.status_code == 403, (path, said)
    assert await accepted(redis, keys) == 0


async def test_a_reply_cannot_forge_events(stack: Stack) -> None:
    headers = {"Accept": "text/event-stream"}
    body = {"prompt": "Break out."}
    async with stack.client.stream("POST", "/", json=body, headers=headers) as response:
        raw = b"".join([chunk async for chunk in response.aiter_bytes()])
    events = EventDecoder().feed(raw)
    kinds = [event.name for event in events]
    assert kinds[0] == "queued"
    assert set(kinds[:-1]) <= {"queued", "started", "token"}
    assert kinds[-1] == "completed"
    data = [orjson.loads(event.data) for event in events]
    assert "".join(one["text"] for one in data if "text" in one) == FORGED
    assert data[-1]["reply"] == FORGED


async def test_a_reply_cannot_forge_chunks_of_a_completion(stack: Stack) -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "?"}], "stream": True}
    async with stack.client.stream("POST", "/v1/chat/completions", json=body) as response:
        raw = b"".join([chunk async for chunk in response.aiter_bytes()])
    lines = [line.rstrip("\r") for line in raw.decode().split("\n")]
    assert lines[0] == ": ping"
    lines = [line for line in lines[1:] if line]
    assert all(line.startswith("data: ") for line in lines)
    *chunks, done = (line.removeprefix("data: ").rstrip("\r") for line in lines)
    assert done == "[DONE]"
    text = "".join(
        orjson.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks
    )
    assert text == FORGED


@pytest.mark.parametrize(
    ("bomb", "status"),
    [
        (b"[" * 100_000, 400),
        (b'{"prompt":' * 50_000, 400),
        (b'{"a":' + b"[" * 2000 + b"]" * 2000 + b"}", 400),
        (b'{"prompt": "\xff"}', 400),
        (b'{"prompt": "\\ud800"}', 400),
        (b'{"prompt": "x", "temperature": 1' + b"0" * 100_000 + b"}", 400),
        (b'{"prompt": "x", "seed": ' + b"9" * 5000 + b"}", 400),
        (b"{" + b",".join(b'"f%d":0' % n for n in range(50_000)) + b"}", 422),
    ],
)
async def test_bombs_are_refused(stack: Stack, bomb: bytes, status: int) -> None:
    async with asyncio.timeout(10):
        answer = await stack.client.post("/", content=bomb)
    assert answer.status_code == status, answer.text[:300]
    assert len(answer.content) < 20_000
