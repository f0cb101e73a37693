"""During every upgrade old workers meet new APIs: what is stored is read as far as it is known."""

import asyncio

import orjson
import pytest
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.keys import Keys
from shared.wire.turn_request import TurnRequest
from tests.scripted import ScriptedEngine
from tests.servers import running_stack


def test_fields_of_a_newer_version_are_passed_over() -> None:
    stored = {"prompt": "Hi", "max_tokens": 3, "tools": [{"name": "x"}], "reasoning": {"a": 1}}
    read = TurnRequest.decode(orjson.dumps(stored))
    assert (read.prompt, read.sampling.max_tokens) == ("Hi", 3)


@pytest.mark.parametrize(
    "stored",
    ["", "[]", "{", '{"prompt": "Hi", "messages": 7}', '{"prompt": "Hi", "max_tokens": "many"}'],
)
async def test_a_turn_that_cannot_be_read_fails_alone(
    settings: Settings, redis: Redis, stored: str
) -> None:
    held = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(slots=1, step=lambda _: held)
    keys = Keys(settings.namespace)
    async with running_stack(settings, engine) as stack:
        jobs = [
            (await stack.client.post("/jobs", json={"prompt": prompt})).json()["job"]
            for prompt in ("first", "second", "third")
        ]
        async with asyncio.timeout(10):
            while not engine.running:
                await asyncio.sleep(0.01)
        await redis.hset(keys.job(jobs[1]), "request", stored)  # type: ignore[misc]
        held.set_result(None)
        ended = [(await stack.client.get(f"/jobs/{job}?wait=20")).json() for job in jobs]
    assert [one["status"] for one in ended] == ["completed", "failed", "completed"]
    assert ended[1]["error"]["code"] == "generation_failed"
    assert "another version" in ended[1]["error"]["detail"]
    assert ended[1]["attempts"] == 1
