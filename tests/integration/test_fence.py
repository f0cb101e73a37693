"""Workers that die, stall and come back: the fence and what takes over."""

import asyncio

from shared.errors import (
    TurnFailed,
)
from shared.wire.publication import PieceRecord
from shared.wire.worker_report import WorkerReport
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import POOL, Bench, completion

REPORT = WorkerReport(model_name=POOL, slots=1)


async def test_a_turn_given_back_wakes_another_worker(bench: Bench) -> None:
    await bench.serve("w1", "w2")
    submission = await bench.submit()
    claim = await bench.claim("w1")
    await bench.workers.drain("w1", POOL, ttl_s=60)
    before = await bench.bells("w2")
    assert await bench.claims.hand_over(claim) is WriteOutcome.OK
    assert await bench.bells("w2") == before + 1
    assert (await bench.claim("w2")).job_id == submission.job_id


async def test_everything_a_zombie_writes_is_refused(bench: Bench) -> None:
    submission = await bench.submit()
    zombie = await bench.claim("w1")
    await bench.claims.publish(zombie, 0, PieceRecord(text="H", token_ids=(1,)))
    await bench.crash(zombie)
    heir = await bench.reclaim("w2")
    assert heir is not None
    assert (heir.job_id, heir.starts, heir.crashes) == (zombie.job_id, 2, 1)
    before = await bench.kinds(heir.job_id)
    assert before == ["queued", "started", "token", "resumed"]

    assert (
        await bench.claims.publish(zombie, 1, PieceRecord(text="x", token_ids=(9,)))
        is WriteOutcome.FENCED
    )
    assert await bench.claims.beat([zombie], "w1") == [WriteOutcome.FENCED]
    assert (await bench.claims.commit(zombie, completion(zombie))).outcome is WriteOutcome.FENCED
    assert (await bench.claims.fail(zombie, TurnFailed("x"))).outcome is WriteOutcome.FENCED
    assert await bench.claims.hand_over(zombie) is WriteOutcome.FENCED
    assert await bench.kinds(heir.job_id) == before
    assert await bench.messages(submission.conversation_id) == []

    assert (await bench.claims.commit(heir, completion(heir))).outcome is WriteOutcome.OK
    assert (await bench.claims.commit(zombie, completion(zombie))).outcome is WriteOutcome.FENCED
    assert len(await bench.messages(submission.conversation_id)) == 2
    assert await bench.leftovers() == set()


async def test_only_one_of_many_takes_an_abandoned_turn_over(bench: Bench) -> None:
    await bench.submit()
    await bench.crash(await bench.claim())
    heirs = await asyncio.gather(*(bench.reclaim(f"w{n}") for n in range(10)))
    assert len([heir for heir in heirs if heir is not None]) == 1


async def test_a_living_worker_is_not_robbed(bench: Bench) -> None:
    await bench.submit()
    claim = await bench.claim()
    await bench.crash(claim)
    assert await bench.claims.beat([claim], "w1") == [WriteOutcome.OK], "a lost lease is made anew"
    assert await bench.reclaim("w2") is None
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK


async def test_a_turn_that_kills_its_workers_ends_as_failed(bench: Bench) -> None:
    submission = await bench.submit()
    follower = await bench.submit(submission.conversation_id)
    await bench.crash(await bench.claim())
    for crashes in (1, 2):
        heir = await bench.reclaim("w2")
        assert heir is not None
        assert heir.crashes == crashes
        await bench.crash(heir)
    follow = await bench.reclaim("w2")
    job = await bench.jobs.get(submission.job_id, "default")
    assert job is not None
    assert job.status == "failed"
    assert '"worker_lost"' in (job.error or "")
    assert follow is not None
    assert (follow.job_id, follow.crashes) == (follower.job_id, 0)


async def test_a_bell_that_a_worker_did_not_live_to_hear_rings_at_another(bench: Bench) -> None:
    await bench.serve("dead", "w2")
    await bench.redis.delete(bench.of_pool("free"))
    await bench.redis.zadd(bench.of_pool("free"), {"dead": 1, "w2": 2})
    submission = await bench.submit()
    assert (await bench.bells("dead"), await bench.bells("w2")) == (1, 0)
    await bench.keep()
    assert await bench.bells("w2") == 0, "it was woken just now"
    await bench.redis.hset(bench.keys.job(submission.job_id), "readied", 1)
    await bench.keep()
    assert await bench.bells("w2") == 1
    assert (await bench.claim("w2")).job_id == submission.job_id


async def test_a_worker_without_a_slot_left_wakes_one_whose_bell_was_lost(bench: Bench) -> None:
    await bench.serve("w1", "w2")
    for _ in range(2):
        await bench.submit()
    assert (await bench.bells("w1"), await bench.bells("w2")) == (1, 1)
    await bench.redis.delete(bench.keys.bells("w1"))
    await bench.claim("w2")
    assert await bench.bells("w1") == 1, "its last slot is taken, and a turn is left"
    await bench.claim("w1")
    assert (await bench.bells("w1"), await bench.bells("w2")) == (1, 1), "nothing is left"


async def test_no_bell_rings_at_a_worker_that_is_gone(bench: Bench) -> None:
    await bench.serve("dead", "w2")
    await bench.redis.delete(bench.of_pool("free"), bench.keys.worker("dead"))
    await bench.redis.zadd(bench.of_pool("free"), {"dead": 1, "w2": 2})
    await bench.submit()
    assert (await bench.bells("dead"), await bench.bells("w2")) == (0, 1)


async def test_hand_over_keeps_place_and_text_and_charges_nothing(bench: Bench) -> None:
    first = await bench.submit()
    claim = await bench.claim("w1")
    await bench.claims.publish(claim, 0, PieceRecord(text="Hel", token_ids=(1, 2)))
    later = await bench.submit()
    assert await bench.claims.hand_over(claim) is WriteOutcome.OK
    heir = await bench.claim("w2")
    assert (heir.job_id, heir.crashes, heir.starts) == (first.job_id, 0, 2)
    assert (await bench.claims.published(heir)).pieces == (
        PieceRecord(text="Hel", token_ids=(1, 2)),
    )
    assert (await bench.claim("w2")).job_id == later.job_id
    assert (await bench.kinds(first.job_id))[-1] == "resumed"
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.FENCED


async def test_the_keeper_goes_on_at_once_while_there_are_turns_of_lost_workers(
    bench: Bench,
) -> None:
    for _ in range(45):
        await bench.submit()
    claims = await bench.take("w1", 45)
    for claim in claims:
        await bench.crash(claim)
    waits = [(await bench.keep()).next_s for _ in range(3)]
    assert waits == [0, 0, None]
    assert {claim.job_id for claim in await bench.take("w2", 99)} == {c.job_id for c in claims}


async def test_lost_bells_lose_no_turn(bench: Bench) -> None:
    running, waiting = await bench.submit(), await bench.submit()
    claim = await bench.claim("w1")
    await bench.redis.delete(bench.keys.bells("w1"), bench.of_pool("free"))
    await bench.workers.announce("w2", REPORT, ttl_s=60)
    await bench.redis.hset(bench.keys.job(waiting.job_id), "readied", 1)
    await bench.keep()
    assert await bench.bells("w2") == 1, "its report tells that it has a free slot"
    assert (await bench.claim("w2")).job_id == waiting.job_id
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK
    assert running.job_id == claim.job_id


async def test_a_zombie_that_continues_a_reply_changes_nothing(bench: Bench) -> None:
    conversation = (await bench.submit()).conversation_id
    await bench.claims.commit(
        claim := await bench.claim(), completion(claim, finish_reason="length")
    )
    await bench.submit(conversation, prompt="", continues=True)
    zombie = await bench.claim("w1")
    await bench.crash(zombie)
    heir = await bench.reclaim("w2")
    assert heir is not None
    assert heir.standing == zombie.standing
    late = completion(zombie, reply="Zombie")
    assert (await bench.claims.commit(zombie, late)).outcome is WriteOutcome.FENCED
    grown = completion(heir, reply="Higher", finish_reason="length")
    for outcome in (WriteOutcome.OK, WriteOutcome.DUP):
        assert (await bench.claims.commit(heir, grown)).outcome is outcome
    assert (await bench.claims.commit(zombie, late)).outcome is WriteOutcome.FENCED
    _, reply = await bench.messages(conversation)
    assert (reply.content, reply.job_id) == ("Higher", heir.job_id)
    assert await bench.leftovers() == set()


async def test_what_is_continued_is_never_written_to_a_deleted_conversation(bench: Bench) -> None:
    conversation = (await bench.submit()).conversation_id
    await bench.claims.commit(
        claim := await bench.claim(), completion(claim, finish_reason="length")
    )
    await bench.submit(conversation, prompt="", continues=True)
    going_on = await bench.claim()
    assert await bench.conversations.delete(conversation, "default")
    ended = await bench.claims.commit(going_on, completion(going_on))
    assert ended.outcome is not WriteOutcome.OK
    assert await bench.messages(conversation) == []


async def test_a_turn_that_continues_sees_its_own_prompt_though_the_window_begins_behind_it(
    bench: Bench,
) -> None:
    conversation = (await bench.submit()).conversation_id
    await bench.claims.commit(claim := await bench.claim(), completion(claim))
    await bench.submit(conversation, prompt="Second")
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim, 3, finish_reason="length", offset=5))
    for offset in (5, 3, 1):
        await bench.submit(conversation, prompt="", continues=True)
        claim = await bench.claim()
        history = claim.history
        assert history is not None
        assert (history.offset, history.next_number, history.turns) == (min(offset, 3), 3, 1)
        assert len(history.messages) == 3 - min(offset, 3)
        assert claim.request.prompt == "Second"
        behind = {5: 3, 3: 1, 1: 1}[offset]
        done = completion(claim, 3, finish_reason="length", offset=behind)
        await bench.claims.commit(claim, done)
