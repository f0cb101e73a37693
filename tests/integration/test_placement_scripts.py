"""The scripts of the queue decide as the policy's pure functions do: thousands of random queues."""

import random
from typing import Any, Final

import pytest

from shared.placement import (
    COLD,
    LONGEST_WAIT_MS,
    OVERTAKE_MS,
    SLACK,
    Bell,
    Candidate,
    Choice,
    Home,
    Offer,
    choose,
    offer,
)
from tests.integration.bench import POOL, Bench, completion

DECISIONS: Final = 9000
OFFERS: Final = 1000
NOW_MS: Final = 1_700_000_000_000
OTHER: Final = "other"


@pytest.mark.slow
async def test_a_worker_starts_the_turn_that_the_policy_chooses(bench: Bench) -> None:
    dice = random.Random(16)
    await bench.serve("w1")
    seen = set()
    for number in range(DECISIONS):
        turns = {name: random_turn(dice) for name in ("own", "ready") if dice.random() < 0.8}
        await set_queue(bench, turns, waits_for_all=dice.random() < 0.5)
        choice = choose(own=turns.get("own"), ready=turns.get("ready"))
        claims = await bench.claims.take("w1", f"nonce{number}", 1)
        expected = [] if choice is Choice.NOTHING else [choice]
        assert [claim.job_id for claim in claims] == expected, turns
        seen.add(choice)
    assert seen == set(Choice)


def random_turn(dice: random.Random) -> Candidate:
    """Times around the bounds."""
    return Candidate(
        served=100 + dice.randint(0, SLACK + 2),
        readied_ms=NOW_MS + dice.choice([0, 1, OVERTAKE_MS - 1, OVERTAKE_MS, OVERTAKE_MS + 1]),
    )


async def set_queue(bench: Bench, turns: dict[str, Candidate], *, waits_for_all: bool) -> None:
    """A queue of at most two turns, each of an owner of its own.

    Args:
        waits_for_all: whether the owner of the worker's own turn has another one that any worker
            may start, later than the other owner's.
    """
    keys = bench.keys
    async with bench.redis.pipeline(transaction=True) as pipe:
        pipe.delete(keys.own("w1"), keys.owners(POOL), keys.times(POOL), keys.line(POOL))
        pipe.delete(keys.ready(POOL, "own"), keys.ready(POOL, "ready"))
        pipe.delete(keys.clock(POOL), keys.waits, keys.leases)
        for name, turn in turns.items():
            pipe.delete(keys.job(name))
            pipe.hset(keys.job(name), mapping=stored(name, turn))
            pipe.zadd(keys.line(POOL), {name: 7})
        if "ready" in turns:
            pipe.zadd(keys.ready(POOL, "ready"), {"ready": 7})
            pipe.zadd(keys.owners(POOL), {"ready": turns["ready"].served})
        if "own" in turns:
            pipe.zadd(keys.own("w1"), {"own": 7})
            times = keys.times(POOL)
            if waits_for_all and "ready" in turns and turns["ready"].served < turns["own"].served:
                times = keys.owners(POOL)
            pipe.zadd(times, {"own": turns["own"].served})
        await pipe.execute()


def stored(name: str, turn: Candidate) -> dict[str, Any]:
    return {
        "status": "queued",
        "owner": name,
        "conversation": f"c-{name}",
        "request": '{"prompt":"x"}',
        "pool": POOL,
        "tag": 7,
        "readied": turn.readied_ms,
        "created": NOW_MS,
        "deadline": 1 << 52,
        "starts": 0,
        "crashes": 0,
        "progress": 0,
    } | ({"home": "w1"} if name == "own" else {})


@pytest.mark.slow
async def test_a_turn_is_offered_where_the_policy_says(bench: Bench) -> None:
    dice = random.Random(17)
    await bench.serve("w1", "w2")
    await bench.submit()
    claim = await bench.claim("w1")
    assert (await bench.claims.commit(claim, completion(claim))).more is False
    conversation, seen = claim.conversation_id, set()
    for _ in range(OFFERS):
        saves_ms = dice.choice([0, 19, 20, 21, 100, LONGEST_WAIT_MS // 2, LONGEST_WAIT_MS])
        home = dice.choice(
            [
                None,
                Home(
                    pool=dice.choice([POOL, POOL, OTHER]),
                    tokens_a_second=1000,
                    has_free_slot=dice.random() < 0.5,
                    is_draining=dice.random() < 0.2,
                    is_silent=dice.random() < 0.2,
                ),
            ]
        )
        await set_home(bench, conversation, home, saves_ms)
        submission = await bench.submit(conversation)
        expected = offer(pool=POOL, warm=saves_ms, home=home)
        assert await offered(bench, submission.job_id) == expected
        seen.add((expected.at_home, expected.hold_ms))
        await bench.submissions.cancel(submission.job_id, "default")
    assert {(COLD.at_home, COLD.hold_ms), (True, 500), (True, LONGEST_WAIT_MS)} <= seen


async def set_home(bench: Bench, conversation: str, home: Home | None, saves_ms: int) -> None:
    keys = bench.keys
    async with bench.redis.pipeline(transaction=True) as pipe:
        pipe.hset(keys.conversation(conversation), mapping={"home": "w3", "saves_ms": saves_ms})
        pipe.delete(keys.worker("w3"), keys.free(POOL), keys.bells("w3"), keys.bells("w2"))
        pipe.zadd(keys.free(POOL), {"w2": 1})
        if home is not None:
            fields: dict[str, Any] = {"pool": home.pool, "patience_ms": LONGEST_WAIT_MS}
            if home.is_draining:
                fields["draining"] = "1"
            if home.is_silent:
                fields["silent"] = "1"
            pipe.hset(keys.worker("w3"), mapping=fields)
        if home is not None and home.has_free_slot:
            pipe.zadd(keys.free(POOL), {"w3": 2})
        await pipe.execute()


async def offered(bench: Bench, job: str) -> Offer:
    """Where a turn stands, and who was woken for it."""
    keys = bench.keys
    async with bench.redis.pipeline(transaction=True) as pipe:
        pipe.zscore(keys.own("w3"), job)
        pipe.zscore(keys.hold(POOL), job)
        pipe.zscore(keys.ready(POOL, "default"), job)
        pipe.hget(keys.job(job), "readied")
        pipe.exists(keys.bells("w3"))
        pipe.exists(keys.bells("w2"))
        own, until, ready, readied, home_rung, other_rung = await pipe.execute()
    assert (until is None) != (ready is None)
    bell = Bell.HOME if home_rung else Bell.FREE if other_rung else Bell.NOBODY
    hold_ms = 0 if until is None else int(until) - int(readied)
    return Offer(at_home=own is not None, hold_ms=hold_ms, bell=bell)
