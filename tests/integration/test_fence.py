"""Workers that die, stall and come back: the fence and what takes over."""

import asyncio

from shared.errors import (
    TurnFailed,
)
from shared.store.keys import WORKER_GROUP
from shared.wire.publication import PieceRecord
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench, completion


async def test_a_permit_given_back_wakes_another_worker(bench: Bench) -> None:
    submission = await bench.submit()
    permit = await bench.permit("w1")
    assert permit is not None
    await bench.claims.return_permit(permit)
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
    assert await bench.claims.beat(claim, "w1") is WriteOutcome.OK, "a lost lease is made anew"
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
    assert await bench.reclaim("w2") is None
    job = await bench.jobs.get(submission.job_id, "default")
    assert job is not None
    assert job.status == "failed"
    assert '"worker_lost"' in (job.error or "")
    assert (await bench.claim("w2")).job_id == follower.job_id


async def test_a_permit_read_by_a_worker_that_died_before_its_claim(bench: Bench) -> None:
    submission = await bench.submit()
    permit = await bench.permit("w1")
    assert permit is not None
    await bench.make_idle(permit, "w1")
    assert await bench.reclaim("w2") is None
    assert (await bench.claim("w2")).job_id == submission.job_id


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


async def test_the_sweep_gives_lost_permits_back(bench: Bench) -> None:
    submission = await bench.submit()
    await bench.redis.xtrim(bench.keys.permits, maxlen=0)
    assert await bench.permit("w1") is None
    await bench.claims.sweep()
    assert (await bench.claim("w1")).job_id == submission.job_id


async def test_a_lost_group_is_made_anew_from_the_beginning(bench: Bench) -> None:
    running, waiting = await bench.submit(), await bench.submit()
    claim = await bench.claim("w1")
    await bench.redis.xgroup_destroy(bench.keys.permits, WORKER_GROUP)
    again = await bench.permit("w2")
    assert again == claim.permit_id, "it is delivered again"
    assert await bench.claims.claim(again, "w2", "nonce") is None, "and serves its turn already"
    assert (await bench.claim("w2")).job_id == waiting.job_id
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK
    assert running.job_id == claim.job_id
