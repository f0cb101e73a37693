"""Owners take turns: who sent five hundred prompts does not keep another one waiting.

What is warm somewhere comes first there, and passes others within bounds.
"""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.placement import LEAD, OVERTAKE_MS
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.wire.place import Place
from tests.integration.bench import POOL, Bench, completion
from tests.servers import Valkey, make_settings

WORKERS: Final = ("w1", "w2", "w3")
QUEUED: Final = 100


async def test_a_single_prompt_waits_for_one_turn_of_a_crowd_at_most(bench: Bench) -> None:
    crowd = [(await bench.submit(owner="crowd")).job_id for _ in range(500)]
    started = [(await bench.claim()).job_id for _ in range(8)]
    single = (await bench.submit(owner="single")).job_id
    assert started == crowd[:8]
    assert single in [(await bench.claim()).job_id for _ in range(2)]


async def test_owners_with_much_to_do_take_turns(bench: Bench) -> None:
    for owner in ("a", "b", "c"):
        for _ in range(20):
            await bench.submit(owner=owner)
    names = [await owner_of(bench, (await bench.claim()).job_id) for _ in range(30)]
    for begin in range(0, 30, 3):
        assert sorted(names[begin : begin + 3]) == ["a", "b", "c"]


async def test_idling_earns_no_credit(bench: Bench) -> None:
    """Who comes late does not get all the turns that the others had before."""
    for _ in range(40):
        await bench.submit(owner="early")
    for _ in range(20):
        await bench.claim()
    for _ in range(20):
        await bench.submit(owner="late")
    names = [await owner_of(bench, (await bench.claim()).job_id) for _ in range(10)]
    assert 4 <= names.count("late") <= 6


async def test_who_comes_back_each_time_does_not_come_first_each_time(bench: Bench) -> None:
    """One with a single turn at a time, and a name that comes first, does not starve another."""
    await bench.submit(owner="a")
    await bench.claim()
    waiting = (await bench.submit(owner="b")).job_id
    await bench.submit(owner="a")
    assert (await bench.claim()).job_id == waiting


async def owner_of(bench: Bench, job: str) -> str:
    return str(await bench.redis.hget(bench.keys.job(job), "owner"))


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    owners=st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    claims=st.integers(0, 6),
    later=st.lists(st.sampled_from("abcd"), max_size=6),
)
async def test_the_place_that_is_told_is_the_place_in_which_turns_start(
    valkey: Valkey, owners: list[str], claims: int, later: list[str]
) -> None:
    """As long as nothing else comes: each of a new conversation, so that all are ready."""
    configured = make_settings(valkey.url)
    async with connect(configured) as redis:
        bench = Bench(redis, Keys(configured.namespace), configured)
        await bench.serve()
        jobs = [(await bench.submit(owner=owner)).job_id for owner in owners]
        started = [(await bench.claim()).job_id for _ in range(min(claims, len(jobs)))]
        jobs += [(await bench.submit(owner=owner)).job_id for owner in later]
        waiting = [job for job in jobs if job not in started]
        places = await bench.submissions.places(waiting)
        order = [(await bench.claim()).job_id for _ in waiting]
        await redis.aclose(close_connection_pool=True)
    told = {job: place.position for job, place in zip(waiting, places, strict=True)
            if isinstance(place, Place)}  # fmt: skip
    assert [told[job] for job in order] == list(range(1, len(order) + 1))


# Whatever is warm somewhere.


def steps(*passes_ms: int) -> st.SearchStrategy[list[tuple[str, int, int]]]:
    """Who takes a turn, what its commit saves the next one there, and what time passes then."""
    saves_ms = st.sampled_from([0, 1000, 1000, 1000])
    step = st.tuples(st.sampled_from(WORKERS), saves_ms, st.sampled_from(passes_ms))
    return st.lists(step, min_size=10, max_size=20)


a_property = settings(
    max_examples=15,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@asynccontextmanager
async def a_bench(valkey: Valkey) -> AsyncIterator[Bench]:
    """With three workers."""
    configured = make_settings(valkey.url)
    async with connect(configured) as redis:
        bench = Bench(redis, Keys(configured.namespace), configured)
        await bench.serve(*WORKERS)
        yield bench
        await redis.aclose(close_connection_pool=True)


async def take_and_follow(
    bench: Bench, worker: str, saves_ms: int, warm: str = "a"
) -> tuple[str, str] | None:
    """A worker takes a turn and ends it, and the conversation goes on: whose it was, and which.

    Its commit saves the next turn of one of the `warm` owners so much time there.
    """
    claims = await bench.take(worker)
    if not claims:
        return None
    claim, owner = claims[0], await owner_of(bench, claims[0].job_id)
    assert claim.history is not None
    done = completion(claim, claim.history.next_number, saves_ms=saves_ms * (owner in warm))
    await bench.claims.commit(claim, done)
    await bench.submit(claim.conversation_id, owner=owner)
    return owner, claim.job_id


async def elapse(bench: Bench, by_ms: int) -> None:
    """What the queue looks like so much later, if nothing happens."""
    async with bench.redis.pipeline(transaction=True) as pipe:
        for job in await bench.redis.zrange(bench.keys.open_jobs, 0, -1):
            pipe.hincrby(bench.keys.job(job), "readied", -by_ms)
        for job in await bench.redis.zrange(bench.keys.hold(POOL), 0, -1):
            pipe.zincrby(bench.keys.hold(POOL), -by_ms, job)
        await pipe.execute()
    await bench.keep()


async def ready(bench: Bench, owner: str) -> list[str]:
    """An owner's turns that any worker may start, in line."""
    names: list[str] = await bench.redis.zrange(bench.keys.ready(POOL, owner), 0, -1)
    return names


async def readied(bench: Bench) -> dict[str, int]:
    """When each turn became ready."""
    jobs = await bench.redis.zrange(bench.keys.open_jobs, 0, -1)
    async with bench.redis.pipeline(transaction=False) as pipe:
        for job in jobs:
            pipe.hget(bench.keys.job(job), "readied")
        return dict(zip(jobs, map(int, await pipe.execute()), strict=True))


@pytest.mark.slow
@a_property
@given(steps=steps(*[0] * 20, OVERTAKE_MS + 1000), warm=st.sampled_from(["a", "b", "ab"]))
async def test_of_two_owners_that_wait_all_the_time_none_gets_ahead_by_more_than_five_starts(
    valkey: Valkey, steps: list[tuple[str, int, int]], warm: str
) -> None:
    """`warm` are the owners whose conversations have homes."""
    starts = Counter(a=0, b=0)
    async with a_bench(valkey) as bench:
        for worker, saves_ms, passes_ms in steps:
            for owner in starts:
                while not await ready(bench, owner):
                    await bench.submit(owner=owner)
            if started := await take_and_follow(bench, worker, saves_ms, warm):
                starts[started[0]] += 1
            assert abs(starts["a"] - starts["b"]) <= LEAD
            await elapse(bench, passes_ms)


@pytest.mark.slow
@a_property
@given(steps=steps(0, 1, OVERTAKE_MS - 1000, OVERTAKE_MS + 1000), others=st.integers(0, 10))
async def test_the_first_in_line_is_overtaken_only_by_what_was_ready_five_seconds_after_it(
    valkey: Valkey, steps: list[tuple[str, int, int]], others: int
) -> None:
    async with a_bench(valkey) as bench:
        for _ in range(others):
            await bench.submit(owner="a")
        for worker, saves_ms, passes_ms in steps:
            await bench.submit(owner="a")
            first = (await ready(bench, "a"))[0]
            since = await readied(bench)
            started = await take_and_follow(bench, worker, saves_ms)
            assert started is not None
            assert since[started[1]] - since[first] <= OVERTAKE_MS
            await elapse(bench, passes_ms)


@pytest.mark.slow
@a_property
@given(seed=st.integers(0, 1 << 30), warm=st.integers(0, 20), owners=st.sampled_from(["a", "ab"]))
async def test_of_a_hundred_turns_each_starts_at_its_place_but_for_those_that_are_warm_somewhere(
    valkey: Valkey, seed: int, warm: int, owners: str
) -> None:
    """Those start sooner or later. Each moves its owner's others, and so whoever takes turns."""
    dice = random.Random(seed)
    async with a_bench(valkey) as bench:
        prompts: list[tuple[str | None, str]] = [
            await warm_conversation(bench, dice.choice(WORKERS), dice.choice(owners))
            for _ in range(warm)
        ]
        prompts += [(None, dice.choice(owners)) for _ in range(QUEUED - warm)]
        dice.shuffle(prompts)
        jobs = [(await bench.submit(which, owner=owner)).job_id for which, owner in prompts]
        places = await bench.submissions.places(jobs)
        order: list[str] = []
        while len(order) < QUEUED:
            order += [claim.job_id for claim in await bench.take(dice.choice(WORKERS))]
    told = [place.position for place in places if place is not None]
    assert sorted(told) == list(range(1, QUEUED + 1))
    off = [
        abs(order.index(job) + 1 - position)
        for (which, _), job, position in zip(prompts, jobs, told, strict=True)
        if which is None
    ]
    lead = LEAD + 1 if len(owners) > 1 else 0  # equal times go by name
    assert max(off) <= len(owners) * warm + lead


async def warm_conversation(bench: Bench, worker: str, owner: str) -> tuple[str, str]:
    """A conversation whose home is this worker, and its owner."""
    await bench.submit(owner=owner)
    claim = await bench.claim(worker)
    await bench.claims.commit(claim, completion(claim, saves_ms=5000))
    return claim.conversation_id, owner
