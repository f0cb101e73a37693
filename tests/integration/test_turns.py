"""Accepting, claiming and ending turns: the scripts against a real server."""

import asyncio
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from shared import ids
from shared.errors import (
    ConversationBusy,
    InvalidReplaceFrom,
    NoSuchConversation,
    NoWorker,
    QueueFull,
    TurnFailed,
)
from shared.store.event_log import EventLog
from shared.store.keys import Keys
from shared.store.replicas import Replicas
from shared.wire.claim import Claim
from shared.wire.event import Event
from shared.wire.publication import PieceRecord, merged
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import POOL, Bench, completion
from tests.servers import Valkey, make_settings


async def test_a_turn_leaves_nothing_but_its_conversation_and_its_job(bench: Bench) -> None:
    submission = await bench.submit()
    claim = await bench.claim()
    assert (
        await bench.claims.publish(claim, 0, PieceRecord(text="H", token_ids=(1,)))
        is WriteOutcome.OK
    )
    piece = PieceRecord(text="i", token_ids=(2,))
    assert (
        await bench.claims.commit(claim, completion(claim, pieces=(piece,)))
    ).outcome is WriteOutcome.OK
    assert await bench.kinds(claim.job_id) == ["queued", "started", "token", "token", "completed"]
    assert [m.content for m in await bench.messages(submission.conversation_id)] == ["Hello", "Hi"]
    assert await bench.leftovers() == set()
    assert 0 < await bench.redis.pttl(bench.keys.events(claim.job_id)) <= 300_000
    assert 300_000 < await bench.redis.pttl(bench.keys.job(claim.job_id)) <= 86_400_000


async def test_an_ended_job_keeps_nothing_of_its_way_through_the_queue(bench: Bench) -> None:
    first = await bench.submit()
    behind, cancelled = [await bench.submit(first.conversation_id) for _ in range(2)]
    on_the_way = {"readied", "sequence", "token", "worker", "home"}
    assert "sequence" in await bench.redis.hgetall(bench.keys.job(behind.job_id))
    for number in (1, 3):
        claim = await bench.claim()
        await bench.claims.commit(claim, completion(claim, number))
        again = await bench.claims.commit(claim, completion(claim, number))
        assert again.outcome is WriteOutcome.DUP
    await bench.submissions.cancel(cancelled.job_id, "default")
    for submission in (first, behind, cancelled):
        stored = await bench.redis.hgetall(bench.keys.job(submission.job_id))
        assert set(stored) & on_the_way == set()
        assert {"status", "finished", "pool"} < set(stored)


async def test_submit_repeated_with_its_job_id_is_accepted_once(bench: Bench) -> None:
    submission = await bench.submit()
    answers = await asyncio.gather(*(bench.submissions.submit(submission) for _ in range(20)))
    assert all(answers)
    assert await bench.redis.llen(bench.keys.pending(submission.conversation_id)) == 1
    entry = f"default {submission.job_id}"
    assert await bench.redis.zrange(bench.keys.line(POOL), 0, -1) == [entry]
    assert await bench.redis.hget(bench.keys.waits, "default") == "1"
    assert await bench.bells("w1") == 1


async def test_a_new_conversation_never_takes_anothers_id(bench: Bench) -> None:
    first = await bench.submit()
    again = replace(first, job_id=ids.new_job(), new=True)
    assert await bench.submissions.submit(again) is None
    assert await bench.redis.llen(bench.keys.pending(first.conversation_id)) == 1


async def test_refusals_store_nothing(redis: Redis, valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_PENDING_TURNS=2, PALAVER_QUEUE_LIMIT=3)
    bench = Bench(redis, Keys(settings.namespace), settings)
    with pytest.raises(NoWorker):
        await bench.submit()
    await bench.serve()
    first = await bench.submit()
    before = {key async for key in bench.redis.scan_iter(f"{settings.namespace}:*")}
    with pytest.raises(NoSuchConversation):
        await bench.submit("123")
    with pytest.raises(NoSuchConversation):
        await bench.submit(first.conversation_id, owner="somebody else")
    with pytest.raises(InvalidReplaceFrom, match="number 3"):
        await bench.submit(first.conversation_id, replace_from=4)
    assert {key async for key in bench.redis.scan_iter(f"{settings.namespace}:*")} == before
    await bench.submit(first.conversation_id)
    with pytest.raises(ConversationBusy):
        await bench.submit(first.conversation_id)
    await bench.submit()
    with pytest.raises(QueueFull):
        await bench.submit()


async def test_one_turn_of_a_conversation_at_a_time(bench: Bench) -> None:
    first = await bench.submit()
    second = await bench.submit(first.conversation_id, prompt="Second")
    claim = await bench.claim()
    assert claim.job_id == first.job_id
    assert await bench.take("w2") == []
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK
    follower = await bench.claim("w2")
    assert follower.job_id == second.job_id


async def test_turns_start_in_the_order_of_acceptance(bench: Bench) -> None:
    accepted = [(await bench.submit()).job_id for _ in range(12)]
    assert [(await bench.claim()).job_id for _ in range(12)] == accepted


async def test_owners_take_turns(bench: Bench) -> None:
    for _ in range(4):
        await bench.submit(owner="many")
    single = await bench.submit(owner="single")
    started = [(await bench.claim()).job_id for _ in range(2)]
    assert single.job_id in started


async def test_parallel_claims_never_share_a_turn(bench: Bench) -> None:
    accepted = {(await bench.submit()).job_id for _ in range(20)}
    claims = await asyncio.gather(*(bench.claim(f"w{n % 3}") for n in range(20)))
    assert {claim.job_id for claim in claims} == accepted
    assert len({claim.fence for claim in claims}) == 20


async def test_turns_whose_answer_was_lost_are_given_again(bench: Bench) -> None:
    for _ in range(3):
        await bench.submit()
    first = await bench.claims.take("w1", "nonce-of-this-take.", 2)
    again = await bench.claims.take("w1", "nonce-of-this-take.", 2)
    other = await bench.claims.take("w1", "another-nonce-here!", 2)
    assert len(first) == 2
    assert [(claim.job_id, claim.fence) for claim in again] == [
        (claim.job_id, claim.fence) for claim in first
    ]
    assert len(other) == 1
    assert other[0].job_id not in {claim.job_id for claim in first}


async def test_of_turns_whose_answer_was_lost_those_that_have_ended_are_not_given_again(
    bench: Bench,
) -> None:
    await bench.submit()
    kept = await bench.submit()
    first, _ = await bench.claims.take("w1", "nonce-of-this-take.", 2)
    await bench.submissions.cancel(first.job_id, "default")
    again = await bench.claims.take("w1", "nonce-of-this-take.", 2)
    assert [claim.job_id for claim in again] == [kept.job_id]


async def test_a_worker_takes_no_more_turns_than_it_asks_for(bench: Bench) -> None:
    accepted = [(await bench.submit()).job_id for _ in range(5)]
    assert [claim.job_id for claim in await bench.take("w1", 3)] == accepted[:3]
    assert [claim.job_id for claim in await bench.take("w2", 3)] == accepted[3:]


async def test_a_place_whose_job_is_lost_is_forgotten(bench: Bench) -> None:
    lost, kept = await bench.submit(), await bench.submit()
    await bench.redis.delete(bench.keys.job(lost.job_id))
    assert (await bench.claim()).job_id == kept.job_id
    assert await bench.redis.zrange(bench.keys.line(POOL), 0, -1) == []


async def test_a_repeated_commit_succeeds_and_changes_nothing(bench: Bench) -> None:
    submission = await bench.submit()
    claim = await bench.claim()
    ended = [await bench.claims.commit(claim, completion(claim)) for _ in range(3)]
    outcomes = [end.outcome for end in ended]
    assert outcomes == [WriteOutcome.OK, WriteOutcome.DUP, WriteOutcome.DUP]
    assert len(await bench.messages(submission.conversation_id)) == 2
    assert (await bench.kinds(claim.job_id)).count("completed") == 1


async def test_a_repeated_piece_is_written_once(bench: Bench) -> None:
    await bench.submit()
    claim = await bench.claim()
    piece = PieceRecord(text="Hi", token_ids=(1, 2))
    assert await bench.claims.publish(claim, 0, piece) is WriteOutcome.OK
    assert await bench.claims.publish(claim, 0, piece) is WriteOutcome.DUP
    assert (
        await bench.claims.publish(claim, 2, PieceRecord(text="!", token_ids=(3,)))
        is WriteOutcome.OK
    )
    published = await bench.claims.published(claim)
    assert merged(published.pieces) == (PieceRecord(text="Hi!", token_ids=(1, 2, 3)),)


async def test_failure_promotes_the_next_turn_and_stores_no_message(bench: Bench) -> None:
    first = await bench.submit(context="Never applied.")
    second = await bench.submit(first.conversation_id)
    claim = await bench.claim()
    assert (await bench.claims.fail(claim, TurnFailed("broken"))).outcome is WriteOutcome.OK
    assert (await bench.claims.fail(claim, TurnFailed("broken"))).outcome is WriteOutcome.DUP
    assert await bench.messages(first.conversation_id) == []
    assert (await bench.claim()).job_id == second.job_id
    events = await bench.events.read(first.job_id)
    assert events[-1].kind == "failed"
    assert '"broken"' in events[-1].data


async def test_context_is_applied_by_commit_alone(bench: Bench) -> None:
    first = await bench.submit()
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim))
    await bench.submit(first.conversation_id, context="New.")
    claim = await bench.claim()
    assert claim.history is not None
    assert (claim.history.context, claim.history.next_number) == ("Persona.", 3)
    await bench.claims.commit(claim, completion(claim, 3))
    assert (
        await bench.redis.hget(bench.keys.conversation(first.conversation_id), "context") == "New."
    )


async def test_a_deleted_conversation_gets_nothing_written(bench: Bench) -> None:
    submission = await bench.submit()
    claim = await bench.claim()
    await bench.redis.delete(bench.keys.conversation(submission.conversation_id))
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.GONE
    await bench.redis.delete(bench.keys.job(claim.job_id))
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.GONE
    assert (await bench.claims.fail(claim, TurnFailed("x"))).outcome is WriteOutcome.GONE
    assert await bench.messages(submission.conversation_id) == []


async def test_turns_past_their_deadline_end_without_running(bench: Bench) -> None:
    claimed, swept = await bench.submit(), await bench.submit()
    await bench.redis.hset(bench.keys.job(claimed.job_id), "deadline", 1)
    await bench.redis.zadd(bench.keys.open_jobs, {swept.job_id: 1})
    await bench.redis.zrem(bench.of_pool("default:ready"), swept.job_id)  # or it would start
    assert await bench.take() == []
    assert (await bench.keep(sweep=True)).late == 1
    for submission in (claimed, swept):
        job = await bench.jobs.get(submission.job_id, "default")
        assert job is not None
        assert job.status == "failed"
        assert '"deadline_exceeded"' in (job.error or "")


async def test_conversations_expire_only_when_nothing_is_pending(
    redis: Redis, valkey: Valkey
) -> None:
    settings = make_settings(valkey.url, PALAVER_CONVERSATION_TTL=1000)
    bench = Bench(redis, Keys(settings.namespace), settings)
    await bench.serve()
    submission = await bench.submit()
    names = [
        bench.keys.conversation(submission.conversation_id),
        bench.keys.messages(submission.conversation_id),
    ]
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim))
    assert all([await bench.redis.pttl(name) > 0 for name in names])
    await bench.submit(submission.conversation_id)
    assert [await bench.redis.pttl(name) for name in names] == [-1, -1]


async def test_the_outcome_is_stored_once_and_read_whole(bench: Bench) -> None:
    await bench.submit()
    claim = await bench.claim()
    subscription = bench.redis.pubsub(ignore_subscribe_messages=True)
    await subscription.subscribe(bench.keys.doorbell(claim.job_id))
    await subscription.get_message(timeout=1)
    await bench.claims.commit(claim, completion(claim))
    message = await subscription.get_message(timeout=5)
    await subscription.aclose()
    job, rung = Event.from_message(message["data"])
    assert job == claim.job_id
    assert rung.data == '{"reply":"Hi","whole":true}'
    logged = (await bench.redis.xrevrange(bench.keys.events(claim.job_id), count=1))[0][1]
    assert logged["d"] == ""
    read = (await bench.events.read(claim.job_id))[-1]
    assert read.kind == "completed"
    assert '"prompt":"Hello"' in read.data


class EndingLog(EventLog):
    """The job ends in the moment between two looks at it."""

    def __init__(self, bench: Bench, claim: Claim) -> None:
        super().__init__(bench.redis, bench.keys, Replicas(bench.redis, bench.keys, 0))
        self._bench, self._claim = bench, claim

    async def outcome(self, job: str) -> Event | None:
        done = completion(self._claim, pieces=(PieceRecord(text="Hi", token_ids=(1,)),))
        await self._bench.claims.commit(self._claim, done)
        return await super().outcome(job)


async def test_a_job_that_ends_while_its_log_is_read_keeps_its_pieces(bench: Bench) -> None:
    submission = await bench.submit()
    claim = await bench.claim()
    seen = (await bench.events.read(submission.job_id))[-1].id
    events = await EndingLog(bench, claim).read(submission.job_id, seen)
    assert [event.kind for event in events] == ["token", "completed"]


async def test_an_edits_view_begins_with_a_turn(bench: Bench) -> None:
    await bench.redis.hset(
        bench.keys.pool(POOL), "window", 44
    )  # at most eleven messages: from a reply on
    submission = await bench.submit()
    for number in range(1, 40, 2):
        claim = await bench.claim()
        done = completion(claim, number, offset=number)
        assert (await bench.claims.commit(claim, done)).outcome is WriteOutcome.OK
        await bench.submit(submission.conversation_id, replace_from=31 if number == 39 else None)
    history = (await bench.claim()).history
    assert history is not None
    assert (history.offset, history.next_number) == (21, 31)
    assert history.messages[0].role == "user"
