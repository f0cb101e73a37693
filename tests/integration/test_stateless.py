"""Stateless completions leave nothing behind, and end when their client goes away."""

import asyncio
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack
from tests.sse import received_data

MESSAGES = [
    {"role": "system", "content": "Persona."},
    {"role": "user", "content": "One."},
    {"role": "assistant", "content": "Two."},
    {"role": "user", "content": [{"type": "text", "text": "Thr"}, {"type": "text", "text": "ee."}]},
]


async def test_the_model_sees_exactly_the_messages_that_were_sent(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        body = {"model": "any", "messages": MESSAGES}
        answer = await stack.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "You said: Three."
    assert engine.prompts == [
        "<system>Persona.<end><user>One.<end><assistant>Two.<end><user>Three.<end><assistant>"
    ]


async def test_no_conversation_is_left(settings: Settings, redis: Redis, keys: Keys) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        body = {"model": "any", "messages": MESSAGES}
        job = (await stack.client.post("/v1/chat/completions", json=body)).json()["id"]
        names = {name async for name in redis.scan_iter(f"{settings.namespace}:*")}
    assert not [name for name in names if ":conv:" in name]
    assert keys.job(job.removeprefix("chatcmpl-")) not in names


async def test_a_client_that_leaves_a_stream_cancels_it(
    settings: Settings, redis: Redis, keys: Keys
) -> None:
    loop = asyncio.get_running_loop()
    second, never = loop.create_future(), loop.create_future()

    def step(position: int) -> "asyncio.Future[None] | None":
        return (None, second)[position] if position < 2 else never

    engine = ScriptedEngine(piece_length=1, step=step)
    async with running_stack(settings, engine) as stack:
        body = {"model": "any", "messages": MESSAGES, "stream": True}
        path = "/v1/chat/completions"
        async with stack.client.stream("POST", path, json=body) as response:
            async for chunk in received_data(response):
                if chunk["choices"][0]["delta"].get("content") == "Y":
                    job = chunk["id"].removeprefix("chatcmpl-")
                    break
        # What comes next is what nobody can be told any more.
        second.set_result(None)
        async with asyncio.timeout(30):
            while await redis.zcard(keys.open_jobs):
                await asyncio.sleep(0.01)
        status: Any = await redis.hget(keys.job(job), "status")  # type: ignore[misc]  # redis-py types both clients as one
    assert status == "cancelled"


def held(position: int) -> "asyncio.Future[None] | None":
    """A step that gives one piece and then never another."""
    return None if position == 0 else asyncio.get_running_loop().create_future()


async def leave(stack: Stack, path: str, body: dict[str, Any], redis: Redis, keys: Keys) -> str:
    """Ask, and leave once a worker is at it; the job that was begun."""
    port = stack.client.base_url.port
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    data = orjson.dumps(body)
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    async with asyncio.timeout(30):
        while not (jobs := await redis.zrange(keys.open_jobs, 0, -1)):
            await asyncio.sleep(0.005)
    writer.close()
    return str(jobs[0])


NOBODY_ELSE = [
    ("/v1/chat/completions", {"model": "any", "messages": MESSAGES}),
    ("/v1/chat/completions", {"model": "any", "messages": MESSAGES, "stream": True}),
    ("/v1/responses", {"input": "?", "store": False}),
    ("/v1/responses", {"input": "?", "store": False, "stream": True}),
]


@pytest.mark.parametrize(("path", "body"), NOBODY_ELSE)
async def test_a_client_that_leaves_ends_what_nobody_else_can_read(
    settings: Settings, redis: Redis, keys: Keys, path: str, body: dict[str, Any]
) -> None:
    engine = ScriptedEngine(piece_length=1, step=held)
    async with running_stack(settings, engine) as stack:
        job = await leave(stack, path, body, redis, keys)
        async with asyncio.timeout(10):
            while await redis.zcard(keys.open_jobs) or engine.running:
                await asyncio.sleep(0.005)
        status: Any = await redis.hget(keys.job(job), "status")  # type: ignore[misc]  # redis-py types both clients as one
    assert status == "cancelled"


@pytest.mark.parametrize(
    ("path", "body"),
    [("/", {"prompt": "?"}), ("/v1/responses", {"input": "?"})],
)
async def test_a_client_that_leaves_ends_nothing_that_is_kept(
    settings: Settings, redis: Redis, keys: Keys, path: str, body: dict[str, Any]
) -> None:
    gate = asyncio.get_running_loop().create_future()
    async with running_stack(settings, ScriptedEngine(step=lambda _: gate)) as stack:
        job = await leave(stack, path, body, redis, keys)
        # Its connection has ended before this one is answered.
        await stack.client.get("/healthz")
        gate.set_result(None)
        state = (await stack.client.get(f"/jobs/{job}", params={"wait": 30})).json()
    assert state["status"] == "completed"


async def respond(stack: Stack, said: str, **fields: Any) -> dict[str, Any]:
    answer = await stack.client.post("/v1/responses", json={"input": said, **fields})
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()
    return response


async def test_responses_behind_the_same_one_at_once_do_not_see_each_other(
    settings: Settings,
) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        first = (await respond(stack, "root"))["id"]
        again = [respond(stack, f"branch {n}", previous_response_id=first) for n in range(5)]
        branches = await asyncio.gather(*again)
    assert len({branch["id"] for branch in branches}) == 5
    for prompt in engine.prompts[1:]:
        assert prompt.count("<user>") == 2
        assert prompt.startswith("<user>root<end><assistant>You said: root<end><user>branch")


async def test_a_response_that_was_edited_away_is_not_gone_on_with(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        made = (await stack.client.post("/v1/conversations", json={})).json()["id"]
        first = (await respond(stack, "edited away", conversation=made))["id"]
        await stack.ask("in its place", id=int(made.removeprefix("conv_")), replace_from=1)
        body = {"input": "?", "previous_response_id": first}
        answer = await stack.client.post("/v1/responses", json=body)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "previous_response_not_found"


async def test_a_refused_response_copies_nothing(
    settings: Settings, redis: Redis, keys: Keys
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        first = (await respond(stack, "root"))["id"]
        await respond(stack, "later", previous_response_id=first)
        before = {name async for name in redis.scan_iter(f"{keys.namespace}:conv:*")}
        await redis.delete(keys.pools)
        body = {"input": "?", "previous_response_id": first}
        refused = await stack.client.post("/v1/responses", json=body)
        after = {name async for name in redis.scan_iter(f"{keys.namespace}:conv:*")}
    assert refused.status_code == 503
    assert after == before


async def test_nothing_is_added_to_a_stateless_conversation(settings: Settings) -> None:
    gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with running_stack(settings, ScriptedEngine(step=lambda _: gate)) as stack:
        body = {"model": "any", "messages": MESSAGES}
        asking = asyncio.create_task(stack.client.post("/v1/chat/completions", json=body))
        async with connect(settings) as redis:
            keys = Keys(settings.namespace)
            while not (open_jobs := await redis.zrange(keys.open_jobs, 0, -1)):
                await asyncio.sleep(0.01)
        job = (await stack.client.get(f"/jobs/{open_jobs[0]}")).json()
        intruder = await stack.client.post("/", json={"prompt": "?", "id": job["id"]})
        gate.set_result(None)
        answer = await asking
    assert intruder.status_code == 404
    assert answer.status_code == 200
