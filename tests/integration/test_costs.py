"""What turns cost Redis, in calls: counts, which do not depend on the machine."""

import asyncio
from typing import Any

from redis.asyncio import Redis

from shared.store.connection import connect
from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_stack, running_valkey
from tests.sse import received, text_of

TOKENS = 400
TOKEN_S = 0.005
SSE = {"Accept": "text/event-stream"}


async def script_calls(redis: Redis) -> int:
    stats: dict[str, Any] = await redis.info("commandstats")
    return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])


def slow_engine() -> ScriptedEngine:
    """Replies with so many tokens, one after the other."""
    return ScriptedEngine(
        lambda _: "x" * TOKENS,
        piece_length=1,
        step=lambda _: asyncio.ensure_future(asyncio.sleep(TOKEN_S)),
    )


async def test_a_reply_costs_calls_by_the_second_not_by_the_token() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url, PALAVER_LEASE=60, PALAVER_HEARTBEAT=15)
        redis = connect(settings)
        async with running_stack(settings, slow_engine()) as stack:
            await stack.ask("Hello")  # every script is known by now
            before = await script_calls(redis)
            await stack.ask("Nobody reads along.")
            unfollowed = await script_calls(redis) - before
            form = {"prompt": "Somebody does."}
            async with stack.client.stream("POST", "/", json=form, headers=SSE) as response:
                text = text_of([event async for event in received(response)])
            followed = await script_calls(redis) - before - unfollowed
        await redis.aclose(close_connection_pool=True)
    assert text == "x" * TOKENS
    assert unfollowed <= 25
    assert unfollowed < followed <= 85
