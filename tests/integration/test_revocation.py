"""A revoked key: what its owner has under way ends, and nobody else's does."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.store.connection import connect
from shared.store.keys import Keys
from shared.wire.limits import NO_LIMITS
from tests.integration.test_access import Guarded, running_guarded
from tests.integration.test_jobs import Gate
from tests.scripted import ScriptedEngine
from tests.servers import Valkey


async def read(client: httpx.AsyncClient, path: str, **request: Any) -> str:
    async with client.stream("POST", path, **request) as answer:
        return "".join([text async for text in answer.aiter_text()])


async def until(event: asyncio.Event) -> None:
    await event.wait()


async def state(guarded: Guarded, job: str) -> str:
    settings = guarded.stack.settings
    async with connect(settings) as redis:
        return str(await redis.hget(Keys(settings.namespace).job(job), "status"))  # type: ignore[misc]  # redis-py types both clients as one


async def test_streams_waiting_posts_and_queued_turns_of_a_revoked_key_end(
    valkey: Valkey, tmp_path: Path
) -> None:
    go_on, reached = asyncio.Event(), asyncio.Event()

    def step(_position: int) -> "asyncio.Future[None]":
        reached.set()
        return asyncio.ensure_future(until(go_on))

    engine = ScriptedEngine(slots=2, step=step)
    async with running_guarded(valkey, tmp_path, engine, PALAVER_SLOTS=2) as guarded:
        client, others = guarded.stack.client, guarded.headers("other")
        headers = guarded.headers("a")
        posted = asyncio.create_task(client.post("/", json={"prompt": "wait"}, headers=headers))
        await reached.wait()
        theirs = (await client.post("/jobs", json={"prompt": "?"}, headers=others)).json()
        queued = (await client.post("/jobs", json={"prompt": "?"}, headers=headers)).json()
        as_events = headers | {"Accept": "text/event-stream"}
        streams = [asyncio.create_task(read(client, "/", json={"prompt": "?"}, headers=as_events))]
        body = {"model": "any", "messages": [{"role": "user", "content": "?"}], "stream": True}
        path = "/v1/chat/completions"
        streams.append(asyncio.create_task(read(client, path, json=body, headers=headers)))
        async with asyncio.timeout(30):
            while await open_turns(guarded) < 5:
                await asyncio.sleep(0.01)
        guarded.keys.revoke("a")
        async with asyncio.timeout(30):
            refused = await posted
            events, chunks = await asyncio.gather(*streams)
            while await open_turns(guarded) > 1:
                await asyncio.sleep(0.01)
        assert await state(guarded, queued["job"]) == "cancelled"
        go_on.set()
        theirs_path = f"/jobs/{theirs['job']}?wait=20"
        kept = (await client.get(theirs_path, headers=others)).json()
    assert (refused.status_code, refused.json()["code"]) == (409, "job_cancelled")
    assert "event: cancelled" in events
    assert "job_cancelled" in chunks
    assert kept["status"] == "completed"


async def open_turns(guarded: Guarded) -> int:
    settings = guarded.stack.settings
    async with connect(settings) as redis:
        return int(await redis.zcard(Keys(settings.namespace).open_jobs))


@pytest.mark.slow
async def test_a_prompt_that_was_on_its_way_in_is_cancelled_too(
    valkey: Valkey, tmp_path: Path
) -> None:
    gate = Gate()
    async with running_guarded(valkey, tmp_path, ScriptedEngine(step=gate)) as guarded:
        headers, begun, go_on = guarded.headers("a"), asyncio.Event(), asyncio.Event()

        async def body() -> Any:
            yield b'{"prompt": '
            begun.set()
            await go_on.wait()
            yield b'"late"}'

        late = asyncio.create_task(guarded.stack.client.post("/", content=body(), headers=headers))
        # It is let in by its key, and its body comes later.
        await begun.wait()
        await asyncio.sleep(0.05)
        guarded.keys.revoke("a")
        await asyncio.sleep(1.5)
        go_on.set()
        async with asyncio.timeout(30):
            refused = await late
    assert (refused.status_code, refused.json()["code"]) == (409, "job_cancelled")


@pytest.mark.slow
async def test_a_mistyped_entry_cancels_nothing(valkey: Valkey, tmp_path: Path) -> None:
    gate = Gate()
    async with running_guarded(valkey, tmp_path, ScriptedEngine(step=gate)) as guarded:
        headers, path = guarded.headers("a", NO_LIMITS), tmp_path / "keys.json"
        waiting = asyncio.create_task(guarded.ask(headers, "Hello."))
        await gate.reached.wait()
        path.write_text(path.read_text().replace('"name": "a"', '"name": 5'))
        assert (await guarded.ask(headers, "?")).status_code == 401
        await asyncio.sleep(1.5)
        gate.open()
        answer = await waiting
    assert answer.status_code == 200
