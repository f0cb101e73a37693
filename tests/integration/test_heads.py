"""HEAD wherever there is GET, slashes at the end, and HTTP/1.0."""

import asyncio
from typing import Any

import httpx
import pytest

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack

ENDLESS = "/conversations/events"
CHANGING = {"date", "x-request-id", "openai-processing-ms", "content-length"}


async def described(stack: Stack, method: str) -> list[str]:
    """Every path of the description that has a method and ends, for something that is there."""
    reply = await stack.ask("Hello.")
    response = (await stack.client.post("/v1/responses", json={"input": "Hi."})).json()
    model = (await stack.client.get("/v1/models")).json()["data"][0]["id"]
    filled = {
        "{job}": reply["job"],
        "{model}": model,
        "{response}": response["id"],
        "/v1/conversations/{conversation}": f"/v1/conversations/conv_{reply['id']}",
        "{conversation}": str(reply["id"]),
    }
    document = (await stack.client.get("/openapi.json")).json()
    described = document["paths"].items()
    paths = [path for path, methods in described if method in methods and path != ENDLESS]
    for name, value in filled.items():
        paths = [path.replace(name, value) for path in paths]
    return paths


def headers(answer: httpx.Response) -> dict[str, str]:
    return {name: value for name, value in answer.headers.items() if name not in CHANGING}


async def test_every_get_answers_head_alike_and_without_a_body(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        paths = [*await described(stack, "get"), "/web/chat.js", "/conversations/1", "/nowhere"]
        assert len(paths) > 15
        for path in paths:
            async with asyncio.timeout(5):
                head = await stack.client.head(path)
                get = await stack.client.get(path)
            assert head.status_code == get.status_code, path
            assert head.content == b"", path
            kept = headers(get)
            kept.pop("transfer-encoding", None)
            assert headers(head) == kept, path
            if "event-stream" in get.headers.get("content-type", ""):
                assert "content-length" not in head.headers, path
            elif path not in ("/metrics", "/ops/data"):
                assert head.headers["content-length"] == str(len(get.content)), path


async def test_the_head_of_a_stream_does_not_wait_for_its_end(settings: Settings) -> None:
    never = asyncio.get_running_loop().create_future()
    async with running_stack(settings, ScriptedEngine(step=lambda _: never)) as stack:
        job = (await stack.client.post("/jobs", json={"prompt": "?"})).json()
        async with asyncio.timeout(5):
            heads = [await stack.client.head(path) for path in (job["links"]["events"], ENDLESS)]
        await stack.client.delete(job["links"]["self"])
    for head in heads:
        assert head.status_code == 200
        assert head.headers["content-type"].startswith("text/event-stream")


async def test_who_may_not_get_is_told_that_head_is_allowed(settings: Settings) -> None:
    async with running_stack(settings) as stack:
        wrong = await stack.client.put("/healthz")
        options = await stack.client.options("/healthz")
        posting = await stack.client.head("/v1/chat/completions")
    assert wrong.status_code == 405
    assert wrong.headers["Allow"] == "GET, HEAD, OPTIONS"
    assert (options.status_code, options.headers["Allow"]) == (200, "GET, HEAD")
    assert (posting.status_code, posting.headers["Allow"]) == (405, "POST, OPTIONS")


@pytest.mark.parametrize("method", ["get", "post"])
async def test_a_slash_at_the_end_finds_its_route(settings: Settings, method: str) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        for path in await described(stack, method):
            if path != "/" and not path.endswith("/cancel"):
                body: Any = {"json": {"prompt": "?"}} if method == "post" else {}
                plain = await stack.client.request(method, path, **body)
                slashed = await stack.client.request(method, f"{path}/", **body)
                assert slashed.status_code == plain.status_code, path
        address = str(stack.client.base_url).rstrip("/")
        for path in ("//", "//healthz", "/healthz//"):
            assert (await stack.client.get(f"{address}{path}")).status_code == 404, path


async def test_a_stream_for_http_1_0_has_no_chunks_and_ends_with_the_connection(
    settings: Settings,
) -> None:
    async with running_stack(settings, ScriptedEngine(piece_length=3)) as stack:
        reader, writer = await asyncio.open_connection("127.0.0.1", stack.client.base_url.port)
        body = b'{"prompt": "Hello."}'
        writer.write(
            b"POST / HTTP/1.0\r\nHost: localhost\r\nAccept: Text/Event-Stream\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
    head, _, events = answer.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert b"connection: close" in head.lower()
    assert events.startswith(b"event: queued")
    assert b"event: completed\n" in events.replace(b"\r\n", b"\n")
