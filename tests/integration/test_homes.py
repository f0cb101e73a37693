"""A conversation's home: the worker that still has its tokens gets its next turn, within bounds."""

import pytest

from shared import ids
from shared.wire.cold_homes import ColdHomes
from shared.wire.drain_answer import DrainAnswer
from shared.wire.worker_report import WorkerReport
from tests.integration.bench import POOL, Bench, completion

SLACK = 4
PATIENCE_MS = 10_000
LONG_AGO_MS = 5_001
SLOTS = 8


@pytest.fixture(autouse=True)
async def workers(bench: Bench) -> None:
    await bench.serve("w1", "w2")


async def warm(bench: Bench, worker: str = "w1", *, saves_ms: int = 1000, owner: str = "a") -> str:
    """A conversation whose home is this worker."""
    await bench.submit(owner=owner)
    claim = await bench.claim(worker)
    await bench.claims.commit(claim, completion(claim, saves_ms=saves_ms))
    return claim.conversation_id


async def occupy(bench: Bench, *workers: str) -> None:
    """All slots of these workers are taken."""
    await bench.redis.zrem(bench.of_pool("free"), *workers)


async def rest(bench: Bench, *workers: str) -> None:
    """These workers have answered their bells, and nothing runs there."""
    for worker in workers:
        assert await bench.take(worker, SLOTS) == []


async def follow(bench: Bench, conversation: str, owner: str = "a") -> str:
    """The next turn of a conversation."""
    return (await bench.submit(conversation, owner=owner)).job_id


async def starts(bench: Bench, worker: str, count: int = 1) -> list[str]:
    return [claim.job_id for claim in await bench.take(worker, count)]


async def bells(bench: Bench) -> tuple[int, int]:
    return await bench.bells("w1"), await bench.bells("w2")


async def hold_ms(bench: Bench, job: str) -> int | None:
    """How long a turn is held in all; None if it is not."""
    until = await bench.redis.zscore(bench.keys.hold(POOL), job)
    readied = await bench.redis.hget(bench.keys.job(job), "readied")
    return None if until is None else int(until) - int(readied)


async def end_hold(bench: Bench, job: str) -> None:
    """Its time is over."""
    await bench.redis.zadd(bench.keys.hold(POOL), {job: 1})


# Where a turn goes.


async def test_a_turn_goes_to_its_home_and_wakes_no_other_worker(bench: Bench) -> None:
    conversation = await warm(bench)
    before = await bells(bench)
    job = await follow(bench, conversation)
    assert await bells(bench) == (before[0] + 1, before[1])
    assert await starts(bench, "w2") == []
    assert await starts(bench, "w1") == [job]
    assert (await bench.leftovers()) & {bench.keys.hold(POOL), bench.keys.own("w1")} == set()


async def test_a_turn_after_another_one_goes_home_too(bench: Bench) -> None:
    conversation = await warm(bench)
    await follow(bench, conversation)
    later = await follow(bench, conversation)
    claim = await bench.claim("w1")
    ended = await bench.claims.commit(claim, completion(claim, 3, saves_ms=1000))
    assert ended.more, "the worker is told that the next one waits for it"
    assert await starts(bench, "w2") == []
    assert await starts(bench, "w1") == [later]


async def test_whoever_commits_is_the_home_from_then_on(bench: Bench) -> None:
    conversation = await warm(bench, "w1")
    await follow(bench, conversation)
    await bench.workers.drain("w1", POOL, ttl_s=60)
    claim = await bench.claim("w2")
    await bench.claims.commit(claim, completion(claim, 3, saves_ms=1000))
    job = await follow(bench, conversation)
    assert await bench.redis.hget(bench.keys.job(job), "home") == "w2"


async def test_a_copy_of_a_conversation_begins_at_home(bench: Bench) -> None:
    """Its saving is that of the part that was copied: here one turn of two."""
    await bench.submit(owner="a")
    first = await bench.claim("w1")
    await bench.claims.commit(first, completion(first, saves_ms=100))
    await follow(bench, first.conversation_id)
    second = await bench.claim("w1")
    await bench.claims.commit(second, completion(second, 3, saves_ms=1000))
    await occupy(bench, "w1")
    job = await bench.submit(ids.new_conversation(), behind=first.job_id, owner="a")
    assert await hold_ms(bench, job.job_id) == 4 * 500
    assert await starts(bench, "w2") == []
    assert await starts(bench, "w1") == [job.job_id]


@pytest.mark.parametrize(
    ("saves_ms", "expected_ms"), [(20, 80), (300, 1200), (60_000, PATIENCE_MS)]
)
async def test_a_busy_home_is_waited_for_four_times_what_it_saves_and_no_longer_than_set(
    bench: Bench, saves_ms: int, expected_ms: int
) -> None:
    conversation = await warm(bench, saves_ms=saves_ms)
    await occupy(bench, "w1")
    before = await bells(bench)
    job = await follow(bench, conversation)
    assert await hold_ms(bench, job) == expected_ms
    assert await bells(bench) == before, "nobody may start it now"
    assert await starts(bench, "w2") == []
    await end_hold(bench, job)
    await bench.keep()
    assert await bells(bench) == (before[0], before[1] + 1)
    assert await starts(bench, "w2") == [job]
    assert await starts(bench, "w1") == []


async def test_a_home_with_a_free_slot_that_does_not_come_is_waited_for_half_a_second(
    bench: Bench,
) -> None:
    conversation = await warm(bench, saves_ms=60_000)
    job = await follow(bench, conversation)
    await bench.redis.delete(bench.keys.bells("w1"))
    assert await hold_ms(bench, job) == 500
    await end_hold(bench, job)
    await bench.keep()
    assert await starts(bench, "w2") == [job]


async def test_of_many_turns_at_once_a_home_gets_as_many_as_it_has_slots(bench: Bench) -> None:
    """The others wait for it as for a busy one; bells count as slots until it answers them."""
    conversations = [await warm(bench) for _ in range(10)]
    await rest(bench, "w1")
    jobs = [await follow(bench, conversation) for conversation in conversations]
    assert [await hold_ms(bench, job) for job in jobs] == [500] * SLOTS + [4000] * 2
    assert await starts(bench, "w1", 99) == jobs


async def test_a_worker_that_was_woken_for_its_own_turns_gets_others_last(bench: Bench) -> None:
    conversation = await warm(bench)
    await rest(bench, "w2", "w1")
    await follow(bench, conversation)
    before = await bells(bench)
    await bench.submit(owner="b")
    assert await bells(bench) == (before[0], before[1] + 1)


async def test_a_home_that_does_not_answer_its_bell_is_not_waited_for_until_it_takes_turns(
    bench: Bench,
) -> None:
    first, second = await warm(bench), await warm(bench)
    await rest(bench, "w1")
    job = await follow(bench, first)
    await end_hold(bench, job)
    before = await bells(bench)
    await bench.keep()
    later = await follow(bench, second)
    assert await hold_ms(bench, later) is None
    assert await bells(bench) == (before[0], before[1] + 2)
    assert await starts(bench, "w2", 2) == [job, later]
    third = await warm(bench, "w1")
    assert await hold_ms(bench, await follow(bench, third)) is not None


async def test_a_busy_home_has_no_bell_to_answer(bench: Bench) -> None:
    first, second = await warm(bench), await warm(bench)
    await occupy(bench, "w1")
    await end_hold(bench, await follow(bench, first))
    await bench.keep()
    assert await hold_ms(bench, await follow(bench, second)) == 4000


async def test_a_silent_worker_that_dies_is_forgotten(bench: Bench) -> None:
    conversation = await warm(bench)
    await rest(bench, "w1")
    await end_hold(bench, await follow(bench, conversation))
    await is_dead(bench, conversation)
    await bench.keep()
    assert not await bench.redis.exists(bench.keys.worker("w1"))


async def test_when_its_holding_is_over_a_turn_may_start_at_home_all_the_same(bench: Bench) -> None:
    conversation = await warm(bench)
    job = await follow(bench, conversation)
    await end_hold(bench, job)
    await bench.keep()
    assert await starts(bench, "w1") == [job]
    assert await starts(bench, "w2") == []


async def test_the_keeper_knows_when_the_next_hold_ends_and_hears_of_a_new_first_one(
    bench: Bench,
) -> None:
    first, second = await warm(bench, saves_ms=4000), await warm(bench, saves_ms=1000)
    await occupy(bench, "w1")
    assert (await bench.keep()).next_s is None
    subscription = bench.redis.pubsub(ignore_subscribe_messages=True)
    await subscription.subscribe(bench.keys.notices("w9"))
    await subscription.get_message(timeout=1)
    await follow(bench, first)
    sooner = await follow(bench, second)
    heard = [await subscription.get_message(timeout=1) for _ in range(2)]
    assert heard[1] is not None
    assert heard[1]["data"] == f"held {sooner}"
    await subscription.aclose()
    next_s = (await bench.keep()).next_s
    assert next_s is not None
    assert 0 <= next_s <= 4


@pytest.mark.parametrize("saves_ms", [0, 19])
async def test_a_home_that_saves_next_to_nothing_is_not_waited_for(
    bench: Bench, saves_ms: int
) -> None:
    conversation = await warm(bench, saves_ms=saves_ms)
    job = await follow(bench, conversation)
    assert await hold_ms(bench, job) is None
    assert await starts(bench, "w2") == [job]


async def test_without_patience_any_worker_may_start_a_turn_at_once(bench: Bench) -> None:
    conversation = await warm(bench)
    await bench.redis.hset(bench.keys.worker("w1"), "patience_ms", 0)
    await occupy(bench, "w1")
    before = await bells(bench)
    job = await follow(bench, conversation)
    assert await bells(bench) == (before[0], before[1] + 1)
    assert await starts(bench, "w2") == [job]


# Homes that are not waited for.


async def is_dead(bench: Bench, _conversation: str) -> None:
    await bench.redis.delete(bench.keys.worker("w1"))


async def drains(bench: Bench, _conversation: str) -> None:
    await bench.workers.drain("w1", POOL, ttl_s=60)


async def is_asked_to_drain(bench: Bench, _conversation: str) -> None:
    assert await bench.workers.ask_to_drain("w1") is DrainAnswer.OK


async def has_left(bench: Bench, _conversation: str) -> None:
    await bench.workers.leave("w1", POOL)


async def runs_another_model(bench: Bench, _conversation: str) -> None:
    await bench.redis.hset(bench.keys.worker("w1"), "pool", "another")


async def report_cold(bench: Bench, worker: str, *conversations: str) -> None:
    """A worker whose slots are all taken has dropped their tokens."""
    report = WorkerReport(model_name=POOL, fingerprint="m", slots=8, running=8)
    await bench.workers.announce(worker, report, ttl_s=60)
    await bench.workers.cool(worker, POOL, ColdHomes(conversations=conversations))


async def has_dropped_its_tokens(bench: Bench, conversation: str) -> None:
    await report_cold(bench, "w1", "1", conversation)


GONE = [is_dead, drains, is_asked_to_drain, has_left, runs_another_model, has_dropped_its_tokens]


@pytest.mark.parametrize("gone", GONE)
async def test_no_turn_waits_for_a_home_that(bench: Bench, gone: object) -> None:
    assert callable(gone)
    conversation = await warm(bench)
    await gone(bench, conversation)
    job = await follow(bench, conversation)
    assert await hold_ms(bench, job) is None
    assert await starts(bench, "w2") == [job]


@pytest.mark.parametrize("gone", [drains, is_asked_to_drain, has_left])
async def test_what_is_held_for_a_worker_is_free_when_it(bench: Bench, gone: object) -> None:
    assert callable(gone)
    conversations = [await warm(bench) for _ in range(3)]
    await occupy(bench, "w1")
    jobs = [await follow(bench, conversation) for conversation in conversations]
    before = await bench.bells("w2")
    await gone(bench, conversations[0])
    assert await bench.bells("w2") > before
    assert await starts(bench, "w2", 9) == jobs
    assert await starts(bench, "w1", 9) == []


async def test_what_is_held_for_a_worker_may_start_anywhere_once_its_cache_has_dropped_it(
    bench: Bench,
) -> None:
    dropped, kept = await warm(bench, saves_ms=60_000), await warm(bench, saves_ms=60_000)
    await occupy(bench, "w1")
    job, other = await follow(bench, dropped), await follow(bench, kept)
    before = await bench.bells("w2")
    await report_cold(bench, "w1", dropped)
    assert await bench.bells("w2") == before + 1
    assert await hold_ms(bench, job) is None
    assert await starts(bench, "w2", 9) == [job]
    assert await starts(bench, "w1", 9) == [other]


async def test_what_another_worker_has_dropped_changes_nothing(bench: Bench) -> None:
    conversation = await warm(bench, "w1")
    await report_cold(bench, "w2", conversation)
    job = await follow(bench, conversation)
    assert await hold_ms(bench, job) is not None
    assert await starts(bench, "w2") == []


async def test_a_worker_that_starts_again_is_another_one(bench: Bench) -> None:
    conversation = await warm(bench, "host:1:aa")
    await bench.serve("host:1:bb")
    job = await follow(bench, conversation)
    assert await hold_ms(bench, job) is None


async def test_what_is_held_for_a_worker_that_died_is_free_when_that_is_noticed(
    bench: Bench,
) -> None:
    conversation = await warm(bench, saves_ms=60_000)
    await occupy(bench, "w1")
    job = await follow(bench, conversation)
    await is_dead(bench, conversation)
    await bench.redis.zadd(bench.keys.workers, {"w1": 1})
    await bench.keep(sweep=True)
    assert await starts(bench, "w2") == [job]
    assert not await bench.redis.exists(bench.keys.own("w1"), bench.keys.bells("w1"))


async def test_a_turn_of_a_lost_worker_does_not_wait_for_it(bench: Bench) -> None:
    conversation = await warm(bench)
    job = await follow(bench, conversation)
    claim = await bench.claim("w1")
    await bench.crash(claim)
    await bench.keep()
    assert await starts(bench, "w2") == [job]


async def test_a_turn_that_is_cancelled_while_it_is_held_leaves_nothing(bench: Bench) -> None:
    conversation = await warm(bench)
    job = await follow(bench, conversation)
    await bench.submissions.cancel(job, "a")
    assert await bench.leftovers() == set()
    assert await starts(bench, "w1") == []


async def test_a_worker_that_is_added_takes_what_has_no_home_that_is_waited_for(
    bench: Bench,
) -> None:
    """So it warms up with new conversations, and takes no home's away."""
    await bench.workers.leave("w2", POOL)
    at_home = [await warm(bench, saves_ms=60_000) for _ in range(6)]
    homeless = [await warm(bench, saves_ms=0) for _ in range(2)]
    await occupy(bench, "w1")
    held = [await follow(bench, conversation) for conversation in at_home]
    free = [await follow(bench, conversation) for conversation in homeless]
    free.append((await bench.submit(owner="a")).job_id)
    await bench.serve("w2")
    await bench.keep(sweep=True)
    assert await starts(bench, "w2", 8) == free
    assert await starts(bench, "w1", 8) == held


# How far turns may pass one another.


async def test_a_freed_worker_prefers_its_own_turns(bench: Bench) -> None:
    conversation = await warm(bench)
    await occupy(bench, "w1", "w2")
    other = (await bench.submit(owner="b")).job_id
    job = await follow(bench, conversation)
    assert await starts(bench, "w1", 2) == [job, other]


async def test_a_turn_is_overtaken_only_by_turns_that_came_soon_after_it(bench: Bench) -> None:
    conversation = await warm(bench)
    await occupy(bench, "w1", "w2")
    other = (await bench.submit(owner="b")).job_id
    job = await follow(bench, conversation)
    readied = int(await bench.redis.hget(bench.keys.job(job), "readied"))
    await bench.redis.hset(bench.keys.job(other), "readied", readied - LONG_AGO_MS)
    assert await starts(bench, "w1", 2) == [other, job]


async def order_of_owners(bench: Bench, worker: str, count: int) -> list[str]:
    """Whose turns a worker starts, one slot after the other; at most so many."""
    owners: list[str] = []
    while len(owners) < count and (claims := await bench.take(worker)):
        owners.append(await bench.redis.hget(bench.keys.job(claims[0].job_id), "owner"))
        await occupy(bench, worker)
    return owners


def largest_lead(owners: list[str]) -> int:
    """By how many starts one of two owners ever was ahead of the other."""
    leads = [abs(owners[:n].count("a") - owners[:n].count("b")) for n in range(len(owners) + 1)]
    return max(leads)


async def test_a_worker_that_prefers_its_own_turns_lets_another_owner_wait_for_a_few_only(
    bench: Bench,
) -> None:
    conversations = [await warm(bench) for _ in range(20)]
    await occupy(bench, "w1", "w2")
    for conversation in conversations:
        await bench.submit(owner="b")
        await follow(bench, conversation)
    owners = await order_of_owners(bench, "w1", 40)
    assert owners.count("a") == owners.count("b") == 20
    assert 1 < largest_lead(owners) <= SLACK + 1


async def test_a_held_turn_is_not_taken_away_from_its_home(bench: Bench) -> None:
    conversation = await warm(bench)
    held = await follow(bench, conversation)
    others = [(await bench.submit(owner="b")).job_id for _ in range(10)]
    assert await starts(bench, "w2", 10) == others
    assert await starts(bench, "w1") == [held]


async def test_turns_that_wait_at_home_keep_their_places_in_the_line(bench: Bench) -> None:
    conversation = await warm(bench)
    await occupy(bench, "w1")
    held = await bench.submit(conversation, owner="a")
    other = await bench.submit(owner="a")
    places = await bench.submissions.places([held.job_id, other.job_id])
    assert [place and place.position for place in places] == [1, 2]
