"""What operators see and do of everybody's turns, at the scripts."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import TurnFailed
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.operated_turns import OperatedTurns
from shared.wire.turn_row import TurnRow, Wait
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import POOL, Bench, completion
from tests.servers import Valkey, make_settings


@pytest.fixture
def turns(bench: Bench) -> OperatedTurns:
    return OperatedTurns(bench.redis, bench.keys, bench.submissions)


@pytest.fixture(scope="session")
def url_of_valkey(valkey: Valkey) -> str:
    return valkey.url


async def row_of(turns: OperatedTurns, job_id: str) -> TurnRow:
    row = await turns.of_job(job_id)
    assert row is not None
    return row


async def test_each_turn_is_listed_where_it_stands(bench: Bench, turns: OperatedTurns) -> None:
    failing = await bench.submit(owner="ann")
    await bench.claims.fail(await bench.claim(), TurnFailed("secret"))
    running = await bench.submit(owner="ann")
    await bench.claim()
    waiting = await bench.submit(owner="bob")
    overview = await turns.overview(100)
    for listed, job in (
        (overview.running, running),
        (overview.waiting, waiting),
        (overview.failed, failing),
    ):
        assert listed.count == 1
        assert [row.job_id for row in listed.rows] == [job.job_id]
        assert [row.conversation_id for row in listed.rows] == [job.conversation_id]
        assert [row.owner_id for row in listed.rows] == [job.owner_id]
    [row] = overview.running.rows
    assert (row.worker_id, row.attempts, row.model_name, row.wait) == ("w1", 1, POOL, None)
    [row] = overview.waiting.rows
    assert (row.wait, row.attempts, row.worker_id) == (Wait.SLOT, 0, "")
    assert row.place is not None
    assert row.place.position == 1
    [row] = overview.failed.rows
    assert (row.error_code, row.attempts, row.status) == ("generation_failed", 1, "failed")
    assert row.finished_ms is not None
    assert row.started_ms is not None
    assert row.finished_ms >= row.started_ms >= row.created_ms


async def test_why_a_turn_waits(bench: Bench, turns: OperatedTurns) -> None:
    first = await bench.submit()
    second = await bench.submit(first.conversation_id)
    row = await row_of(turns, second.job_id)
    assert (row.wait, row.waits_for) == (Wait.EARLIER_TURN, first.job_id)
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim, saves_ms=2000))
    row = await row_of(turns, second.job_id)
    assert (row.wait, row.waits_for) == (Wait.HOME, "w1")
    await bench.workers.drain("w1", POOL, ttl_s=60)
    assert (await row_of(turns, second.job_id)).wait is Wait.WORKERS_DRAIN
    await bench.workers.leave("w1", POOL)
    assert (await row_of(turns, second.job_id)).wait is Wait.NO_WORKER


async def test_rows_are_bounded_and_counts_are_not(bench: Bench, turns: OperatedTurns) -> None:
    await bench.serve("w2", pool="other")
    for number in range(10):
        await bench.submit(owner=f"o{number}")
        await bench.submit(model="other", owner=f"o{number}")
    overview = await turns.overview(6)
    assert overview.waiting.count == 20
    models = [row.model_name for row in overview.waiting.rows]
    assert (models.count(POOL), models.count("other")) == (3, 3)
    await bench.take(number=8)
    overview = await turns.overview(6)
    assert (overview.running.count, len(overview.running.rows)) == (8, 6)


async def test_failures_are_bounded_and_forgotten(bench: Bench, turns: OperatedTurns) -> None:
    job = await bench.submit(stateless=True)
    await bench.claims.fail(await bench.claim(), TurnFailed("secret"))
    await bench.submissions.release(job.job_id, job.owner_id)
    row = await row_of(turns, job.job_id)
    assert row.error_code == "generation_failed", "its job is gone with its answer"
    rows = f"{bench.keys.namespace}:failures:rows"
    assert 0 < await bench.redis.pttl(rows) <= 86_400_000
    assert "secret" not in (await bench.redis.hget(rows, job.job_id))
    # As if a thousand others had failed since.
    others = {f"{number:032x}": 1 << 50 for number in range(1000)}
    await bench.redis.zadd(f"{bench.keys.namespace}:failures", others)
    await bench.submit()
    await bench.claims.fail(await bench.claim(), TurnFailed("secret"))
    assert await turns.of_job(job.job_id) is None
    assert (await turns.overview(1)).failed.count == 1000
    assert await bench.redis.hlen(rows) == 0, "the newest is older than the thousand"


async def test_turns_are_found_by_what_is_known_of_them(bench: Bench, turns: OperatedTurns) -> None:
    first = await bench.submit(request="req_1")
    second = await bench.submit(first.conversation_id, request="req_2")
    other = await bench.submit(request="req_3")

    async def jobs_of(request: str) -> list[str]:
        return [row.job_id for row in await turns.of_request(request)]

    assert await jobs_of("req_1") == [first.job_id]
    assert await jobs_of("req_3") == [other.job_id]
    assert await jobs_of("req_4") == []
    claim = await bench.claim()
    await bench.claims.fail(claim, TurnFailed("secret"))
    assert await jobs_of("req_1") == [first.job_id]
    jobs = [row.job_id for row in await turns.of_conversation(first.conversation_id)]
    assert sorted(jobs) == sorted([first.job_id, second.job_id])
    assert await turns.of_conversation("4242") == []
    assert await turns.of_job("0" * 32) is None


async def test_a_requeued_turn_keeps_its_place_its_text_and_its_attempts(
    bench: Bench, turns: OperatedTurns
) -> None:
    job = await bench.submit(owner="ann")
    claim = await bench.claim()
    await bench.submit(owner="ann")
    assert await turns.requeue(job.job_id) is WriteOutcome.OK
    row = await row_of(turns, job.job_id)
    assert (row.status, row.worker_id, row.is_suspect) == ("queued", "", False)
    assert row.place is not None
    assert row.place.position == 1
    ended = await bench.claims.commit(claim, completion(claim))
    assert ended.outcome is WriteOutcome.FENCED, "the worker that had it has it no more"
    again = await bench.claim("w1")
    assert (again.job_id, again.crashes) == (job.job_id, 0)
    ended = await bench.claims.commit(again, completion(again))
    assert ended.outcome is WriteOutcome.OK
    assert await bench.kinds(job.job_id) == ["queued", "started", "resumed", "completed"]


async def test_the_worker_of_a_requeued_turn_is_told_at_once(
    bench: Bench, turns: OperatedTurns
) -> None:
    job = await bench.submit()
    await bench.claim()
    async with bench.redis.pubsub() as pubsub:
        await pubsub.subscribe(bench.keys.notices("w1"))
        await turns.requeue(job.job_id)
        messages = [await pubsub.get_message(timeout=5) for _ in range(2)]
    assert [message["data"] for message in messages] == [1, f"lost {job.job_id}"]


@given(
    model=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=60),
    owner=st.from_regex(r"[\w.-]{1,64}", fullmatch=True, alphabet=st.characters(codec="ascii")),
)
def test_rows_keep_names_of_any_form(url_of_valkey: str, model: str, owner: str) -> None:
    """A failure's row is one string, and models are called what their files say."""

    async def failed_row() -> TurnRow:
        settings = make_settings(url_of_valkey)
        redis: Any = connect(settings)
        bench = Bench(redis, Keys(settings.namespace), settings)
        await bench.serve(pool=model)
        job = await bench.submit(owner=owner, model=model)
        claims = bench.claims_of(model)
        [claim] = await claims.take("w1", "nonce", 1)
        await claims.fail(claim, TurnFailed("x"))
        row = await row_of(OperatedTurns(redis, bench.keys, bench.submissions), job.job_id)
        await redis.aclose(close_connection_pool=True)
        return row

    row = asyncio.run(failed_row())
    assert (row.model_name, row.owner_id, row.error_code) == (model, owner, "generation_failed")


async def test_only_what_runs_is_requeued_and_once(bench: Bench, turns: OperatedTurns) -> None:
    job = await bench.submit()
    assert await turns.requeue(job.job_id) is WriteOutcome.FENCED, "it waits"
    claim = await bench.claim()
    assert await turns.requeue(job.job_id) is WriteOutcome.OK
    again = await bench.claim()
    repeated = await turns.give_back(job.job_id, claim.fence)
    assert repeated is WriteOutcome.FENCED, "a repetition leaves the next start alone"
    await bench.claims.fail(again, TurnFailed("secret"))
    assert claim.fence != again.fence
    assert await turns.requeue(job.job_id) is WriteOutcome.FENCED, "it has failed"
    assert await turns.requeue("0" * 32) is WriteOutcome.GONE
    assert await bench.leftovers() == set()


async def test_an_operator_cancels_anybodys_turn(bench: Bench, turns: OperatedTurns) -> None:
    job = await bench.submit(owner="ann")
    assert await turns.cancel(job.job_id) is WriteOutcome.OK
    assert await turns.cancel(job.job_id) is WriteOutcome.DUP
    assert await turns.cancel("0" * 32) is WriteOutcome.GONE
    assert (await row_of(turns, job.job_id)).status == "cancelled"
    assert await bench.leftovers() == set()
