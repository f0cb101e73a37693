"""The HTTP contract beside the prompts themselves: errors, guards, service endpoints."""

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.scripted import ScriptedEngine
from tests.servers import Valkey, make_settings, running_api, running_server, running_stack


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with running_stack(settings, ScriptedEngine()) as stack:
        yield stack.client


async def test_the_service_endpoints_answer(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json() == {"status": "ready"}
    home = (await client.get("/")).json()
    assert home["name"] == "Palaver"
    assert home["links"]["openapi"] == "/openapi.json"


async def test_openapi_describes_every_field_of_a_prompt(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1")
    properties = document["components"]["schemas"]["ChatRequest"]["properties"]
    assert set(properties) == {
        "prompt", "id", "context", "replace_from", "max_tokens", "temperature", "top_p", "min_p",
        "top_k", "seed", "stop", "repeat_penalty", "presence_penalty", "frequency_penalty",
        "ignore_eos", "typical_p", "reasoning", "model", "continue", "memory",
        "recall",
    }  # fmt: skip
    assert "maximum" not in properties["max_tokens"], "what is above the window is cut to it"
    references = [ref for ref in walk(document) if isinstance(ref, str) and ref.startswith("#/")]
    assert references
    for reference in references:
        node = document
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]


def walk(node: Any) -> list[Any]:
    match node:
        case dict():
            return [leaf for value in node.values() for leaf in walk(value)]
        case list():
            return [leaf for value in node for leaf in walk(value)]
        case _:
            return [node]


async def test_unknown_paths_and_methods_are_problems(client: httpx.AsyncClient) -> None:
    missing = await client.get("/nowhere")
    wrong = await client.put("/", json={})
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["Allow"]
    for response in (missing, wrong):
        assert response.headers["content-type"] == "application/problem+json"
        assert {"type", "title", "status", "detail", "code"} <= set(response.json())


@pytest.mark.parametrize("job", ["unknown", "0" * 32, "../job", "x" * 5000])
async def test_an_unknown_job_is_404(client: httpx.AsyncClient, job: str) -> None:
    response = await client.get(f"/jobs/{job}")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"


async def test_every_wrong_field_is_named(client: httpx.AsyncClient) -> None:
    body = {"prompt": " ", "temperature": 3, "top_k": -1, "surprise": 1, "max_tokens": 0}
    response = await client.post("/", json=body)
    assert response.status_code == 422
    named = {error["field"] for error in response.json()["errors"]}
    assert named == set(body)


async def test_an_unacceptable_accept_is_406(client: httpx.AsyncClient) -> None:
    headers = {"Accept": "image/png"}
    response = await client.post("/", json={"prompt": "x"}, headers=headers)
    assert response.status_code == 406
    for accept in ("*/*", "application/*", "application/problem+json", "text/html, */*;q=0.1"):
        assert (await client.get("/", headers={"Accept": accept})).status_code == 200


async def test_strangers_hosts_and_origins_are_refused(client: httpx.AsyncClient) -> None:
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"X-Forwarded-For": "1.2.3.4"},
        {"Via": "1.1 proxy"},
    ):
        response = await client.post("/", json={"prompt": "x"}, headers=headers)
        assert response.status_code == 403, headers
    health = await client.get("/healthz", headers={"Host": "evil.example"})
    assert health.status_code == 200


async def test_a_long_body_is_refused_whether_its_length_is_announced_or_not(
    valkey: Valkey,
) -> None:
    settings = make_settings(valkey.url, PALAVER_MAX_BODY_BYTES=2000)
    body = b'{"prompt": "' + b"x" * 3000 + b'"}'

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    async with running_stack(settings, ScriptedEngine()) as stack:
        announced = await stack.client.post("/", content=body)
        chunked = await stack.client.post("/", content=chunks())
        fits = await stack.client.post("/", content=b'{"prompt": "' + b"x" * 1900 + b'"}')
    assert (announced.status_code, chunked.status_code, fits.status_code) == (413, 413, 200)
    assert chunked.json()["code"] == "body_too_large"


@pytest.mark.slow
async def test_a_body_that_never_ends_is_cut_off(valkey: Valkey) -> None:
    """An endless chunked body: what is read of it is bounded."""
    settings = make_settings(valkey.url, PALAVER_MAX_BODY_BYTES=100_000)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while sent < 50_000_000:
            sent += 10_000
            yield b"x" * 10_000

    async with running_stack(settings, ScriptedEngine()) as stack:
        try:
            response = await stack.client.post("/", content=endless())
            assert response.status_code == 413
        except (httpx.WriteError, httpx.ReadError):
            pass  # the connection was closed while we were still sending: as good
    assert sent < 20_000_000


async def test_without_redis_prompts_get_503_and_health_still_answers() -> None:
    settings = make_settings("unix:///nowhere/at/all")
    async with running_api(settings) as client:
        health = await client.get("/healthz")
        ready = await client.get("/readyz")
        prompt = await client.post("/", json={"prompt": "x"})
        job = await client.get(f"/jobs/{'0' * 32}")
    assert health.status_code == 200
    assert (ready.status_code, ready.json()["missing"]) == (503, "redis")
    for response in (prompt, job):
        assert (response.status_code, response.json()["code"]) == (503, "redis_away")
        assert "Retry-After" in response.headers


async def test_a_stopping_api_answers_who_waits_with_202(settings: Settings) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    reached = asyncio.Event()

    def hold(_: int) -> "asyncio.Future[None]":
        reached.set()
        return gate

    async with (
        running_stack(settings, ScriptedEngine(step=hold)),
        running_server(settings) as (api, client),
    ):
        waiting = asyncio.create_task(client.post("/", json={"prompt": "x"}))
        await reached.wait()
        api.feed.stop_readers()
        response = await waiting
        gate.set_result(None)
    assert response.status_code == 202
    assert response.json()["status"] == "in_progress"


async def test_a_client_that_goes_away_does_not_stop_its_turn(settings: Settings) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    reached = asyncio.Event()

    def hold(_: int) -> "asyncio.Future[None]":
        reached.set()
        return gate

    engine = ScriptedEngine(step=hold)
    async with running_stack(settings, engine) as stack:
        first = await stack.client.post("/", json={"prompt": "x"}, headers={"Prefer": "wait=0"})
        conversation = first.json()["id"]
        port = stack.client.base_url.port
        assert port is not None
        with socket.create_connection(("127.0.0.1", port)) as connection:
            body = b'{"prompt": "gone", "id": %d}' % conversation
            head = f"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            await until_pending(stack.settings, conversation, 2)
        gate.set_result(None)
        answer = await stack.ask("still there?", id=conversation)
    assert answer["window"]["turns_kept"] == 3


async def until_pending(settings: Settings, conversation: int, count: int) -> None:
    """Return when a conversation has so many turns that have not ended."""
    redis: Any = connect(settings)
    pending = Keys(settings.namespace).pending(str(conversation))
    async with asyncio.timeout(10):
        while await redis.llen(pending) < count:
            await asyncio.sleep(0.005)
    await redis.aclose(close_connection_pool=True)
