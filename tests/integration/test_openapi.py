"""What `/openapi.json` describes is what the API does: schemathesis tries every operation."""

import asyncio
import json
import re
import uuid
from pathlib import Path
from typing import Any

import falcon.inspect
import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from jsonschema import Draft202012Validator
from schemathesis.checks import CheckFunction
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import positive_data_acceptance

from api.app import GetAlsoAnswersHead
from api.http.keys import KeyFile
from api.routes import ROUTES
from shared.config import Settings
from shared.wire.limits import NO_LIMITS
from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_server, running_stack
from worker.engine.interface import EngineError

falcon.inspect.register_router(GetAlsoAnswersHead)(falcon.inspect.inspect_compiled_router)

EXAMPLES = 30
EXAMPLES_WITH_KEY = 4
OPERATIONS = sum(len(route.operations) for route in ROUTES) - 1
"""All but the address of the document itself, which schemathesis leaves out."""
"""Besides its own requests, each of these is tried again without the key and with a wrong one."""
FAILING = "Fail, please."
ENDLESS = "/conversations/events"
"""A stream that no request is answered by in full; test_list_events.py reads it."""


def try_every_operation(
    address: str, examples: int = EXAMPLES, headers: dict[str, str] | None = None
) -> int:
    """Call each operation with generated requests and check its answers; returns how many."""
    schema = schemathesis.openapi.from_url(f"{address}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    for operation in operations:
        if operation.path == ENDLESS:
            continue

        @given(case=operation.as_strategy())
        @hypothesis_settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        def conforms(case: schemathesis.Case[Any]) -> None:
            if "Idempotency-Key" in (case.headers or {}):
                # The same one with another body is refused, and a description cannot say that.
                case.headers["Idempotency-Key"] = uuid.uuid4().hex
            # OpenAI's bodies have rules across fields, which no schema of theirs tells either, and
            # no schema tells that messages alternate.
            is_strict = not case.path.startswith("/v1/") and not _is_import(case)
            excluded: list[CheckFunction] = [] if is_strict else [positive_data_acceptance]
            case.call_and_validate(timeout=20, excluded_checks=excluded, headers=headers)

        conforms()
    return len(operations)


def _is_import(case: schemathesis.Case[Any]) -> bool:
    return (case.method.upper(), case.path) == ("POST", "/conversations")


@pytest.mark.slow
async def test_every_operation_answers_as_described(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: "ok")) as stack:
        address = str(stack.client.base_url).rstrip("/")
        assert await asyncio.to_thread(try_every_operation, address) == OPERATIONS


@pytest.mark.slow
async def test_every_operation_asks_for_a_key_as_described(
    settings: Settings, tmp_path: Path
) -> None:
    path = tmp_path / "keys.json"
    headers = {"Authorization": f"Bearer {KeyFile(path).create('ann', NO_LIMITS, 'operator')}"}
    settings = make_settings(str(settings.redis_url), PALAVER_API_KEYS_FILE=path)
    async with running_stack(settings, ScriptedEngine(lambda _: "ok")) as stack:
        address = str(stack.client.base_url).rstrip("/")
        count = await asyncio.to_thread(try_every_operation, address, EXAMPLES_WITH_KEY, headers)
        assert count == OPERATIONS


async def events_of(
    client: httpx.AsyncClient, method: str, path: str, **request: Any
) -> list[tuple[str, Any]]:
    """The events of a stream: what they are called, and their JSON."""
    text = (await client.request(method, path, **request)).raise_for_status().text
    events = []
    for block in re.split(r"\r?\n\r?\n", text):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if "data" in fields and fields["data"] != "[DONE]":
            events.append((fields.get("event", "message"), json.loads(fields["data"])))
    return events


def sometimes(prompt: str) -> str:
    if FAILING in prompt:
        raise EngineError("as asked")
    return "One, two, three."


async def test_every_event_of_a_stream_fits_its_schema(settings: Settings) -> None:
    listening = {"Accept": "text/event-stream"}
    seen: dict[str, set[str]] = {}
    async with running_stack(settings, ScriptedEngine(sometimes, piece_length=4)) as stack:
        client = stack.client
        document = (await client.get("/openapi.json")).json()

        async def follow(method: str, route: str, address: str, **request: Any) -> None:
            operation = document["paths"][route][method.lower()]
            described = operation["responses"]["200"]["content"]["text/event-stream"]["x-events"]
            for name, data in await events_of(client, method, address, **request):
                schema = {"components": document["components"], **described[name]}
                Draft202012Validator(schema).validate(data)
                seen.setdefault(route, set()).add(name)

        for prompt in ("Count.", FAILING):
            await follow("POST", "/", "/", json={"prompt": prompt}, headers=listening)
            job = (await client.post("/jobs", json={"prompt": prompt})).json()["job"]
            await follow("GET", "/jobs/{job}/events", f"/jobs/{job}/events")
        options = {"include_usage": True}
        body = {"model": "any", "messages": [{"role": "user", "content": "Count."}]}
        streamed = body | {"stream": True, "stream_options": options}
        await follow("POST", "/v1/chat/completions", "/v1/chat/completions", json=streamed)
        await follow(
            "POST", "/v1/responses", "/v1/responses", json={"input": "Count.", "stream": True}
        )
        told = {"model": "any", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi."}]}
        await follow("POST", "/v1/messages", "/v1/messages", json=told | {"stream": True})
        short = {"input": "Count.", "stream": True, "max_output_tokens": 2}
        await follow("POST", "/v1/responses", "/v1/responses", json=short)
    assert seen["/"] == {"queued", "started", "token", "completed", "failed"}
    assert seen["/jobs/{job}/events"] == seen["/"]
    assert seen["/v1/chat/completions"] == {"message"}
    assert seen["/v1/messages"] >= {"message_start", "content_block_delta", "message_stop"}
    assert seen["/v1/responses"] >= {"response.created", "response.output_text.delta"}
    assert seen["/v1/responses"] >= {"response.completed", "response.content_part.done"}


async def test_every_method_that_a_route_answers_is_described(settings: Settings) -> None:
    async with running_server(settings) as (running, _):
        routed = {
            (method.method, route.path)
            for route in falcon.inspect.inspect_routes(running.app)
            for method in route.methods
            if method.method not in ("HEAD", "OPTIONS") and not method.internal
        }
    described = {
        (operation.method, route.path) for route in ROUTES for operation in route.operations
    }
    assert described <= routed
    # What OpenAI's API has and this one does not, and what only the pages ask for.
    undescribed = {path for _, path in routed - described}
    assert undescribed == {
        "/v1/responses/compact",
        "/v1/models/{model}/{rest:path}",
        "/v1/conversations/{conversation}/items/{item}",
        "/web/markdown",
    }
