"""At `maxmemory` writes are denied whole, never half."""

from collections.abc import Coroutine
from typing import Any

import pytest
from redis.exceptions import OutOfMemoryError

from shared.errors import (
    TurnFailed,
)
from shared.store.alternatives import Alternatives
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.operated_turns import OperatedTurns
from shared.wire.publication import PieceRecord
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench, completion
from tests.servers import make_settings, running_valkey


async def test_when_memory_is_short_nothing_is_half_written() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url)
        redis: Any = connect(settings)
        bench = Bench(redis, Keys(settings.namespace), settings)
        await bench.serve()
        running, waiting = await bench.submit(), await bench.submit()
        claim = await bench.claim()
        operated = OperatedTurns(redis, bench.keys, bench.submissions)
        before = await contents(redis)
        await redis.config_set("maxmemory", 1)
        for write in (
            operated.requeue(running.job_id),
            operated.cancel(waiting.job_id),
            bench.submit(),
            bench.claims.publish(claim, 0, PieceRecord(text="x", token_ids=(1,))),
            bench.claims.commit(claim, completion(claim)),
            bench.claims.fail(claim, TurnFailed("x")),
            bench.claims.hand_over(claim),
            bench.take("w2"),
        ):
            with pytest.raises(OutOfMemoryError):
                await write
        assert await contents(redis) == before
        await redis.config_set("maxmemory", 0)
        assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK
        second = await bench.claim("w2")
        assert (claim.job_id, second.job_id) == (running.job_id, waiting.job_id)
        await redis.aclose(close_connection_pool=True)


async def test_when_memory_is_short_edits_and_switches_change_nothing() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url)
        redis: Any = connect(settings)
        bench = Bench(redis, Keys(settings.namespace), settings)
        alternatives = Alternatives(redis, Keys(settings.namespace), settings)
        await bench.serve()
        conversation = (await bench.submit()).conversation_id
        await bench.claims.commit(claim := await bench.claim(), completion(claim))
        await bench.submit(conversation, replace_from=1)
        claim = await bench.claim()
        await is_denied(redis, bench.claims.commit(claim, completion(claim)))
        assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK
        (kept,) = await alternatives.list(conversation, "default")
        await is_denied(redis, alternatives.switch(conversation, "default", kept.alternative_id))
        await redis.aclose(close_connection_pool=True)


async def test_when_memory_is_short_a_reply_is_not_half_continued() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url)
        redis: Any = connect(settings)
        bench = Bench(redis, Keys(settings.namespace), settings)
        await bench.serve()
        conversation = (await bench.submit()).conversation_id
        cut = completion(claim := await bench.claim(), finish_reason="length")
        await bench.claims.commit(claim, cut)
        await is_denied(redis, bench.submit(conversation, prompt="", continues=True))
        await bench.submit(conversation, prompt="", continues=True)
        grown = completion(claim := await bench.claim(), reply="Higher")
        await is_denied(redis, bench.claims.commit(claim, grown))
        assert (await bench.claims.commit(claim, grown)).outcome is WriteOutcome.OK
        assert [one.content for one in await bench.messages(conversation)] == ["Hello", "Higher"]
        await redis.aclose(close_connection_pool=True)


async def is_denied(redis: Any, write: Coroutine[Any, Any, Any]) -> None:
    """While memory is short, a write changes nothing."""
    before = await contents(redis)
    await redis.config_set("maxmemory", 1)
    with pytest.raises(OutOfMemoryError):
        await write
    assert await contents(redis) == before
    await redis.config_set("maxmemory", 0)


async def contents(redis: Any) -> dict[str, Any]:
    """Every key's value."""
    names = [key async for key in redis.scan_iter()]
    return {name: await dump(redis, name) for name in names}


async def dump(redis: Any, name: str) -> Any:
    match await redis.type(name):
        case "hash":
            return await redis.hgetall(name)
        case "set":
            return await redis.smembers(name)
        case "list":
            return await redis.lrange(name, 0, -1)
        case "zset":
            return await redis.zrange(name, 0, -1, withscores=True)
        case "stream":
            return await redis.xrange(name)
        case _:
            return await redis.get(name)


async def test_while_memory_is_short_leases_are_renewed_all_the_same() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url)
        redis: Any = connect(settings)
        short = Bench(redis, Keys(settings.namespace), settings)
        await short.serve()
        await short.submit()
        claim = await short.claim()
        await redis.pexpire(short.keys.lease(claim.job_id), 5_000)
        await redis.config_set("maxmemory", 1)
        assert await short.claims.beat([claim], "w1") == [WriteOutcome.OK]
        assert await redis.pttl(short.keys.lease(claim.job_id)) > 20_000
        await redis.aclose(close_connection_pool=True)
