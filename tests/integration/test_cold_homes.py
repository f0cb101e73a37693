"""A worker whose cache has dropped a conversation tells so, and is not its home any more."""

import pytest
from redis.exceptions import RedisError

from shared.store.workers import Workers
from shared.wire.cold_homes import ColdHomes
from tests.integration.bench import POOL, Bench, completion
from tests.scripted import ScriptedEngine
from worker.homes import Homes
from worker.registration import Registration
from worker.report import Reporter
from worker.turn_metrics import TurnMetrics

A_BEAT = 100
"""Conversations that one heartbeat tells of."""


class Unreachable(Workers):
    """A server that refuses the first call."""

    has_refused = False

    async def cool(self, worker_id: str, pool: str, cold: ColdHomes) -> None:
        if not self.has_refused:
            self.has_refused = True
            raise RedisError
        await super().cool(worker_id, pool, cold)


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture
def registration(bench: Bench, engine: ScriptedEngine) -> Registration:
    return registered(bench, bench.workers, Homes(engine.dropped), engine)


def registered(
    bench: Bench, workers: Workers, homes: Homes, engine: ScriptedEngine
) -> Registration:
    reporter = Reporter(
        engine,
        {},
        TurnMetrics(),
        context_length=3500,
        window=3500,
        capabilities=("chat",),
        patience_ms=10_000,
    )
    return Registration(
        workers,
        bench.claims.clock,
        reporter,
        homes,
        "w1",
        interval_s=60,
        on_drain=_never,
        on_keeper=lambda _: None,
    )


def _never() -> None:
    raise AssertionError("nobody wants it to drain")


async def warm(bench: Bench, worker: str = "w1") -> str:
    """A conversation whose home is this worker."""
    await bench.submit()
    claim = await bench.claim(worker)
    await bench.claims.commit(claim, completion(claim, saves_ms=1000))
    return claim.conversation_id


async def home(bench: Bench, conversation: str) -> str | None:
    stored: str | None = await bench.redis.hget(bench.keys.conversation(conversation), "home")
    return stored


async def test_the_next_heartbeat_tells(
    bench: Bench, engine: ScriptedEngine, registration: Registration
) -> None:
    await bench.serve("w1")
    dropped, kept = await warm(bench), await warm(bench)
    engine.dropped.add(dropped)
    await registration.renew()
    assert [await home(bench, each) for each in (dropped, kept)] == [None, "w1"]
    assert engine.dropped.first(1) == ()


async def test_of_very_many_a_part_is_told_with_each_heartbeat(
    bench: Bench, engine: ScriptedEngine, registration: Registration
) -> None:
    for number in range(A_BEAT + 50):
        engine.dropped.add(f"{number}")
    await registration.renew()
    assert engine.dropped.first(1) == (f"{A_BEAT}",)
    await registration.renew()
    assert engine.dropped.first(1) == ()


async def test_what_could_not_be_told_is_told_with_the_next_heartbeat(
    bench: Bench, engine: ScriptedEngine
) -> None:
    await bench.serve("w1")
    conversation = await warm(bench)
    registration = registered(
        bench, Unreachable(bench.redis, bench.keys), Homes(engine.dropped), engine
    )
    engine.dropped.add(conversation)
    with pytest.raises(RedisError):
        await registration.renew()
    assert await home(bench, conversation) == "w1"
    await registration.renew()
    assert await home(bench, conversation) is None


async def test_a_conversation_that_moved_keeps_its_new_home(
    bench: Bench, engine: ScriptedEngine, registration: Registration
) -> None:
    await bench.serve("w1", "w2")
    conversation = await warm(bench, "w2")
    engine.dropped.add(conversation)
    await registration.renew()
    assert await home(bench, conversation) == "w2"


async def test_a_conversation_that_was_deleted_is_not_made_again(
    bench: Bench, engine: ScriptedEngine, registration: Registration
) -> None:
    engine.dropped.add("12345")
    await registration.renew()
    assert not await bench.redis.exists(bench.keys.conversation("12345"))


async def test_a_stateless_turn_is_told_by_what_the_next_one_begins_with(
    bench: Bench, engine: ScriptedEngine
) -> None:
    await bench.serve("w1")
    homes = Homes(engine.dropped)
    registration = registered(bench, bench.workers, homes, engine)
    await bench.submit(stateless=True)
    claim = await bench.claim("w1")
    await bench.claims.commit(claim, completion(claim, saves_ms=1000, prefix="ab"))
    homes.committed(claim.conversation_id, "ab")
    engine.dropped.add(claim.conversation_id)
    await registration.renew()
    assert not await bench.redis.exists(bench.keys.prefix(POOL, "ab"))
    assert homes.cold(1).conversations == ()
