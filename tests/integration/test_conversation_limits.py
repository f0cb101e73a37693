"""Making conversations is not free: it counts as asking does."""

import asyncio
from pathlib import Path

import pytest

from shared.store.connection import connect
from shared.wire.limits import Limits
from tests.integration.test_access import running_guarded
from tests.integration.test_jobs import Gate, submit
from tests.scripted import ScriptedEngine
from tests.servers import Valkey, make_settings, running_stack, running_valkey

LARGE = {"metadata": {f"name {n}": "x" * 500 for n in range(16)}}
"""Eight kilobytes."""


@pytest.mark.parametrize(
    ("limits", "code", "most"),
    [
        (Limits(requests_per_minute=20), "limit_requests", 20),
        (Limits(tokens_per_day=20_000), "limit_tokens", 12),
    ],
)
async def test_a_key_comes_to_its_limit(
    valkey: Valkey, tmp_path: Path, limits: Limits, code: str, most: int
) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client, headers = guarded.stack.client, guarded.headers("a", limits)
        made, path = 0, "/v1/conversations"
        while (answer := await client.post(path, json=LARGE, headers=headers)).status_code == 200:
            made += 1
        prompt = await guarded.ask(headers, "Hello.")
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == code
    assert int(answer.headers["Retry-After"]) >= 1
    assert made <= most
    assert (prompt.status_code, prompt.json()["code"]) == (429, code)


async def test_what_is_left_of_a_minute_is_told(valkey: Valkey, tmp_path: Path) -> None:
    async with running_guarded(valkey, tmp_path) as guarded:
        client = guarded.stack.client
        headers = guarded.headers("a", Limits(requests_per_minute=5))
        await guarded.ask(headers, "Hello.")
        answer = await client.post("/v1/conversations", json={}, headers=headers)
    assert answer.headers["x-ratelimit-limit-requests"] == "5"
    assert answer.headers["x-ratelimit-remaining-requests"] == "3"


@pytest.mark.slow
async def test_anybody_comes_to_the_end_of_the_memory() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url)
        async with running_stack(settings, ScriptedEngine()) as stack:
            async with connect(settings) as redis:
                used = int((await redis.info("memory"))["used_memory"])
                await redis.config_set("maxmemory", used + (6 << 20))
            codes = set()
            for _ in range(200):
                many = [stack.client.post("/v1/conversations", json=LARGE) for _ in range(50)]
                answers = await asyncio.gather(*many)
                codes |= {answer.status_code for answer in answers}
                if codes != {200}:
                    break
    assert codes <= {200, 503}
    assert 503 in codes
    assert all(a.json()["error"]["code"] == "memory_short" for a in answers if a.status_code == 503)


async def test_where_the_queue_is_full_none_are_made(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_QUEUE_LIMIT=1)
    gate = Gate()
    async with running_stack(settings, ScriptedEngine(step=gate)) as stack:
        await submit(stack.client, "Hello.")
        answer = await stack.client.post("/v1/conversations", json={})
        gate.open()
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "queue_full")
