"""A client that keeps its conversation itself finds the worker that has it in its cache."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest
from redis.asyncio import Redis

from shared.config import Settings
from shared.errors import TurnFailed
from shared.store.keys import Keys
from shared.store.workers import Workers
from shared.wire.claim import Claim
from shared.wire.cold_homes import ColdHomes
from shared.wire.messages import ChatMessage, Role
from shared.wire.parts import ToolCall
from shared.wire.prefix_digest import digest_behind
from shared.wire.worker_report import WorkerReport
from tests.integration.bench import POOL, Bench, completion
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Stack, running_stack
from worker.engine.interface import Part

TEN_MINUTES_MS = 600_000
ONE_SLOT = 1e13
"""Of a worker that is taken, in the order of those with free ones (lib/queue.lua)."""
_ROLES: tuple[Role, Role] = ("user", "assistant")


def history(*texts: str) -> tuple[ChatMessage, ...]:
    """What user and assistant say in turn."""
    return tuple(ChatMessage(role=_ROLES[n % 2], content=text) for n, text in enumerate(texts))


NEXT = history("Hello", "Hi", "And now?")


async def warm(bench: Bench, worker: str = "w1", *, owner: str = "a", saves_ms: int = 1000) -> str:
    """A stateless turn of this worker; returns what its client's next request begins with."""
    first = await bench.submit(messages=NEXT[:1], stateless=True, owner=owner)
    prefix = digest_behind(owner, first.request, NEXT[1])
    claim = await bench.claim(worker)
    assert claim.owner_id == owner
    await bench.claims.commit(claim, completion(claim, saves_ms=saves_ms, prefix=prefix))
    return prefix


async def go_on(bench: Bench) -> Claim:
    """The client's next request, under way."""
    await bench.submit(messages=NEXT, stateless=True, owner="a")
    return await bench.claim("w1")


async def home(bench: Bench, *, owner: str = "a", messages: Any = NEXT) -> str | None:
    """Where the next request is to start; None if that is all the same."""
    job = (await bench.submit(messages=messages, stateless=True, owner=owner)).job_id
    stored: str | None = await bench.redis.hget(bench.keys.job(job), "home")
    return stored


# The scripts.


@pytest.fixture
async def workers(bench: Bench) -> Bench:
    await bench.serve("w1", "w2")
    return bench


async def test_the_next_request_starts_where_the_last_one_was_answered(workers: Bench) -> None:
    await warm(workers, "w2")
    job = (await workers.submit(messages=NEXT, stateless=True, owner="a")).job_id
    assert await workers.redis.zscore(workers.keys.hold(POOL), job) is not None
    assert await workers.take("w1") == []
    assert [claim.job_id for claim in await workers.take("w2")] == [job]


async def test_the_first_that_goes_on_takes_over_what_the_cache_has_and_others_get_copies(
    workers: Bench,
) -> None:
    first = await workers.submit(messages=NEXT[:1], stateless=True, owner="a")
    claim = await workers.claim("w1")
    assert claim.session == first.conversation_id
    prefix = digest_behind("a", first.request, NEXT[1])
    await workers.claims.commit(claim, completion(claim, saves_ms=1000, prefix=prefix))
    taking, other = [
        await workers.submit(messages=NEXT, stateless=True, owner="a") for _ in range(2)
    ]
    sessions = {claim.job_id: claim.session for claim in await workers.take("w1", 2)}
    assert sessions == {
        taking.job_id: first.conversation_id,
        other.job_id: other.conversation_id,
    }


async def test_it_is_known_for_ten_minutes_and_nothing_else_is_left(workers: Bench) -> None:
    prefix = await warm(workers)
    name = workers.keys.prefix(POOL, prefix)
    assert TEN_MINUTES_MS - 30_000 < await workers.redis.pttl(name) <= TEN_MINUTES_MS
    await workers.redis.pexpire(name, 60_000)
    await workers.claims.fail((await go_on(workers)), TurnFailed("this test says so"))
    assert 0 < await workers.redis.pttl(name) <= 60_000
    assert [key async for key in workers.redis.scan_iter(f"{workers.keys.namespace}:conv:*")] == []


async def test_who_sends_the_same_to_somebody_elses_account_learns_nothing(workers: Bench) -> None:
    await warm(workers, owner="a")
    assert await home(workers, owner="b") is None


async def test_another_history_starts_anywhere(workers: Bench) -> None:
    await warm(workers)
    assert await home(workers, messages=history("Hello", "Hello yourself", "And now?")) is None


async def test_what_saves_next_to_nothing_is_not_kept(workers: Bench) -> None:
    prefix = await warm(workers, saves_ms=19)
    assert not await workers.redis.exists(workers.keys.prefix(POOL, prefix))


async def test_a_worker_that_is_gone_is_not_waited_for(workers: Bench) -> None:
    await warm(workers)
    await workers.workers.leave("w1", POOL)
    assert await home(workers) is None


async def test_a_turn_of_a_stored_conversation_keeps_no_prefix(workers: Bench) -> None:
    await workers.submit()
    claim = await workers.claim("w1")
    await workers.claims.commit(claim, completion(claim, saves_ms=1000, prefix="ab"))
    assert not await workers.redis.exists(workers.keys.prefix(POOL, "ab"))


async def report_cold(bench: Bench, worker: str, *prefixes: str) -> None:
    report = WorkerReport(model_name=POOL, fingerprint="m", slots=8, patience_ms=10_000)
    await bench.workers.announce(worker, report, ttl_s=60)
    await bench.workers.cool(worker, POOL, ColdHomes(prefixes=prefixes))


async def test_what_its_cache_has_dropped_starts_anywhere(workers: Bench) -> None:
    prefix = await warm(workers, "w1")
    await report_cold(workers, "w2", prefix)
    assert await home(workers) == "w1", "another worker has dropped it"
    await report_cold(workers, "w1", prefix)
    assert await home(workers) is None


@pytest.mark.parametrize("is_stateless", [True, False])
async def test_a_copy_starts_where_its_original_is_warm(workers: Bench, is_stateless: bool) -> None:
    first = await workers.submit(owner="a")
    claim = await workers.claim("w2")
    await workers.claims.commit(claim, completion(claim, saves_ms=1000))
    await workers.submit(first.conversation_id, owner="a")
    copy = await workers.submit(new=False, behind=first.job_id, stateless=is_stateless, owner="a")
    assert await workers.redis.hget(workers.keys.job(copy.job_id), "home") == "w2"


# What clients send back.

CALL = ToolCall(id="call_1", name="weather", arguments='{"city": "Paris", "days": 2}')
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}


def thinks_and_calls(prompt: str) -> list[Part]:
    """Thinks, says something that ends in blanks, and calls a tool."""
    said = [Part("reasoning", "Hm."), Part("text", f" To {last_prompt(prompt)}: wait.\n\n")]
    return [*said, Part("call", CALL.encode())] if "[tools" in prompt else said


async def post(stack: Stack, path: str, body: dict[str, Any]) -> dict[str, Any]:
    answer = await stack.client.post(path, json={"model": "any", **body})
    assert answer.status_code == 200, answer.text
    media: dict[str, Any] = answer.json()
    return media


async def complete(stack: Stack, messages: list[Any], *, has_tools: bool) -> list[Any]:
    """A chat completion, sent back without what means nothing to the model."""
    function = {"name": "weather", "parameters": SCHEMA}
    tools = {"tools": [{"type": "function", "function": function}]} if has_tools else {}
    body = {"messages": messages, **tools}
    message = (await post(stack, "/v1/chat/completions", body))["choices"][0]["message"]
    text = (message["content"] or "").strip() or None
    kept = {"role": "assistant", "content": text and [{"type": "text", "text": text}]}
    if not has_tools:
        return [kept, {"role": "user", "content": "Go on."}]
    (call,) = message["tool_calls"]
    arguments = orjson.dumps(orjson.loads(call["function"]["arguments"])).decode()
    again = {**call, "function": {**call["function"], "arguments": arguments}}
    outcome = {"role": "tool", "tool_call_id": call["id"], "content": "9 degrees"}
    return [{**kept, "tool_calls": [again]}, outcome]


async def message(stack: Stack, messages: list[Any], *, has_tools: bool) -> list[Any]:
    """A reply in Anthropic's form, sent back without its thoughts."""
    tools = {"tools": [{"name": "weather", "input_schema": SCHEMA}]} if has_tools else {}
    body = {"max_tokens": 400, "messages": messages, **tools}
    content = (await post(stack, "/v1/messages", body))["content"]
    blocks = [block for block in content if block["type"] != "thinking"]
    again = {"role": "assistant", "content": blocks}
    if not has_tools:
        return [again, {"role": "user", "content": "Go on."}]
    outcome = {"type": "tool_result", "tool_use_id": blocks[-1]["id"], "content": "9 degrees"}
    return [again, {"role": "user", "content": [outcome]}]


async def respond(stack: Stack, items: list[Any], *, has_tools: bool) -> list[Any]:
    """A response that is not stored, its output sent back item by item."""
    function = {"type": "function", "name": "weather", "parameters": SCHEMA}
    tools = {"tools": [function]} if has_tools else {}
    body = {"store": False, "instructions": "Be brief.", "input": items, **tools}
    output = (await post(stack, "/v1/responses", body))["output"]
    if not has_tools:
        return [*output, {"role": "user", "content": "Go on."}]
    call_id = output[-1]["call_id"]
    return [
        *output,
        {"type": "function_call_output", "call_id": call_id, "output": "9 degrees"},
    ]


@pytest.mark.parametrize("has_tools", [False, True])
@pytest.mark.parametrize("ask", [complete, message, respond])
async def test_all_requests_of_a_client_go_to_one_worker(
    settings: Settings, ask: Callable[..., Awaitable[list[Any]]], has_tools: bool
) -> None:
    engines = [ScriptedEngine(thinks_and_calls) for _ in range(2)]
    for engine in engines:
        engine.prompt_speed = 10
    async with running_stack(settings, *engines) as stack:
        sent: list[Any] = [{"role": "user", "content": "How warm is it?"}]
        for _ in range(4):
            sent += await ask(stack, sent, has_tools=has_tools)
    idle, busy = sorted(engines, key=lambda engine: len(engine.prompts))
    assert (len(idle.prompts), len(busy.prompts)) == (0, 4)
    assert len({request.session for request in busy.requests}) == 1, "one cache goes on"


async def until_idle(redis: Redis, keys: Keys, number: int) -> None:
    """Return when so many workers wait for a bell; one that has just replied looks for more."""
    [pool] = await redis.zrange(keys.pools, 0, -1)
    while True:
        free = await redis.zrange(keys.free(pool), 0, -1, withscores=True)
        if len(free) == number and all(score < ONE_SLOT for _, score in free):
            return
        await asyncio.sleep(0.01)


async def test_requests_that_begin_anew_are_spread_over_the_workers(
    settings: Settings, redis: Redis, keys: Keys
) -> None:
    engines = [ScriptedEngine() for _ in range(2)]
    for engine in engines:
        engine.prompt_speed = 10
    async with running_stack(settings, *engines) as stack:
        while len(await Workers(redis, keys).all()) < len(engines):
            await asyncio.sleep(0.01)
        for number in range(4):
            await until_idle(redis, keys, len(engines))
            await complete(stack, [{"role": "user", "content": f"{number}"}], has_tools=False)
    assert [len(engine.prompts) for engine in engines] == [2, 2]
