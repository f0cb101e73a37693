"""Stateless completions leave nothing behind, and end when their client goes away."""

import asyncio
from typing import Any

from redis.asyncio import Redis

from shared.config import Settings
from shared.keys import Keys
from tests.scripted import ScriptedEngine
from tests.servers import running_stack

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
        lifetime: Any = await redis.ttl(keys.job(job.removeprefix("chatcmpl-")))
    assert not [name for name in names if ":conv:" in name]
    assert 0 < lifetime <= settings.events_ttl


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
            async for line in response.aiter_lines():
                if '"content":"Y"' in line:
                    break
        [job] = await redis.zrange(keys.open_jobs, 0, -1)
        # What comes next is what nobody can be told any more.
        second.set_result(None)
        async with asyncio.timeout(30):
            while await redis.zcard(keys.open_jobs):
                await asyncio.sleep(0.01)
        status: Any = await redis.hget(keys.job(job), "status")  # type: ignore[misc]  # redis-py types both clients as one
    assert status == "cancelled"
