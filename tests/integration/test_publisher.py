"""Pieces on their way: in order, once, together with those of other replies."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis.exceptions import ResponseError

from shared.wire.claim import Claim
from shared.wire.publication import PieceRecord, Publication, merged
from tests.integration.bench import Bench
from worker.engine.interface import Meter, Part, Piece
from worker.publisher import Publisher
from worker.quarantine import MARGIN


def text_piece(text: str, token_ids: tuple[int, ...]) -> Piece:
    return Piece((Part("text", text),), token_ids)


def never() -> None:
    raise AssertionError("the turn is still ours")


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[Publisher]:
    publisher = Publisher(bench.claims)
    task = asyncio.create_task(publisher.run())
    try:
        yield publisher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def claims(bench: Bench, number: int) -> list[Claim]:
    for _ in range(number):
        await bench.submit()
    return [await bench.claim("w1") for _ in range(number)]


async def test_pieces_of_many_replies_arrive_in_order(bench: Bench) -> None:
    held = await claims(bench, 3)
    async with running(bench) as publisher:
        outboxes = [publisher.open(claim, 0, Meter(), 9, never) for claim in held]
        for step in range(40):
            for number, outbox in enumerate(outboxes):
                outbox.add(text_piece(f"{number}:{step} ", (step,)))
            await asyncio.sleep(0.002)
        rests = [await outbox.close() for outbox in outboxes]
    for number, (claim, rest) in enumerate(zip(held, rests, strict=True)):
        (record,) = merged((await bench.claims.published(claim)).pieces)
        (whole,) = merged([record, *rest])
        assert whole.text == "".join(f"{number}:{step} " for step in range(40))
        assert whole.token_ids == tuple(range(40))


async def test_a_piece_without_ids_that_is_still_there_is_not_published_again(
    bench: Bench,
) -> None:
    """Whether Redis has it cannot be told by the number of ids."""
    (claim,) = await claims(bench, 1)
    piece = Publication(
        job_id=claim.job_id,
        fence=claim.fence,
        at=0,
        pieces=(PieceRecord(text="So", token_ids=()),),
    )
    (receipt,) = await bench.claims.publish_all([piece])
    (again,) = await bench.claims.publish_all([replace(piece, log_ids=receipt.log_ids)])
    assert again.log_ids == receipt.log_ids
    assert [one.text for one in (await bench.claims.published(claim)).pieces] == ["So"]


async def test_who_lost_its_turn_hears_of_it_and_the_others_go_on(bench: Bench) -> None:
    lost, kept = await claims(bench, 2)
    fenced = asyncio.Event()
    async with running(bench) as publisher:
        gone, here = (
            publisher.open(lost, 0, Meter(), 9, fenced.set),
            publisher.open(kept, 0, Meter(), 9, never),
        )
        await bench.submissions.cancel(lost.job_id, "default")
        gone.add(text_piece("lost", (1,)))
        here.add(text_piece("kept", (2,)))
        await asyncio.wait_for(fenced.wait(), 10)
        await here.close()
    assert (await bench.claims.published(kept)).pieces[0].text == "kept"
    assert "token" not in await bench.kinds(lost.job_id)


async def test_a_piece_that_is_refused_for_good_fails_its_reply(bench: Bench) -> None:
    (claim,) = await claims(bench, 1)
    await bench.redis.hset(bench.keys.job(claim.job_id), "progress", "not a number")
    async with running(bench) as publisher:
        outbox = publisher.open(claim, 0, Meter(), 9, never)
        outbox.add(text_piece("text", (1,)))
        while not outbox.is_done:
            await asyncio.sleep(0.005)
        with pytest.raises(ResponseError):
            await outbox.close()


async def test_nothing_is_emitted_behind_a_cancel(bench: Bench) -> None:
    held, other = await claims(bench, 2)
    async with running(bench) as publisher:
        outbox, probe = (
            publisher.open(held, 0, Meter(), 9, never),
            publisher.open(other, 0, Meter(), 9, never),
        )
        outbox.cancel()
        outbox.add(text_piece("too late", (1,)))
        probe.add(text_piece("probe", (1,)))
        while not (await bench.claims.published(other)).pieces:
            await asyncio.sleep(0.005)
    assert (await bench.claims.published(held)).pieces == ()


async def test_who_comes_to_follow_a_reply_gets_what_there_is_at_once(bench: Bench) -> None:
    (claim,) = await claims(bench, 1)
    async with running(bench) as publisher, bench.redis.pubsub() as pubsub:
        outbox = publisher.open(claim, 0, Meter(), 9, never)
        outbox.add(text_piece("first", (1,)))
        await logged(bench, claim, 1)
        outbox.add(text_piece(" second", (2,)))
        assert not outbox.is_urgent, "nobody reads it"
        await pubsub.subscribe(bench.keys.doorbell(claim.job_id))
        publisher.follow(claim.job_id)
        assert outbox.is_urgent
        await logged(bench, claim, 2)
        assert outbox.is_followed, "the publication was heard"


async def test_a_worker_hears_who_follows_its_turns_and_which_it_has_lost(bench: Bench) -> None:
    followed, lost = await claims(bench, 2)
    async with bench.redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        await pubsub.subscribe(bench.keys.notices("w1"))
        assert await pubsub.get_message(timeout=5) is None  # subscribed
        read = await bench.events.follow(followed.job_id, "")
        await bench.submissions.cancel(lost.job_id, "default")
        heard = [(await pubsub.get_message(timeout=5))["data"] for _ in range(2)]
    assert heard == [f"followed {followed.job_id}", f"lost {lost.job_id}"]
    assert read == await bench.events.read(followed.job_id)
    assert await bench.events.follow(followed.job_id, read[0].id) == read[1:]


async def test_few_tokens_are_lost_with_a_worker_even_if_nobody_follows(bench: Bench) -> None:
    (claim,) = await claims(bench, 1)
    async with running(bench) as publisher:
        outbox = publisher.open(claim, 0, Meter(), 9, never)
        outbox.add(text_piece("first", (1,)))
        await logged(bench, claim, 1)
        outbox.add(text_piece("much", tuple(range(MARGIN))))
        assert outbox.is_urgent, "a suspect is tried for no longer than this"
        await logged(bench, claim, 2)


async def logged(bench: Bench, claim: Claim, number: int) -> None:
    """Wait until so many pieces are in the log."""
    async with asyncio.timeout(10):
        while len((await bench.claims.published(claim)).pieces) < number:
            await asyncio.sleep(0.005)
