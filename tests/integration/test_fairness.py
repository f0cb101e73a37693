"""Owners take turns: who sent five hundred prompts does not keep another one waiting."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.store.connection import connect
from shared.store.keys import Keys
from shared.wire.place import Place
from tests.integration.bench import Bench
from tests.servers import Valkey, make_settings


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
