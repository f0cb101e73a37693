"""Conversations that expire, whole and never under a pending turn; and that are cut and deleted."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.errors import NoSuchConversation, TurnFailed
from shared.store.conversations import Conversations
from shared.store.keys import Keys
from shared.wire.claim import Claim
from shared.wire.messages import StoredMessage
from shared.wire.publication import PieceRecord
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench, completion
from tests.servers import Valkey, make_settings

TTL_S = 1000
NEVER = -1


@pytest.fixture
async def mortal(redis: Redis, valkey: Valkey) -> Bench:
    """Conversations are kept so long after their last turn."""
    return await make_bench(redis, valkey, PALAVER_CONVERSATION_TTL=TTL_S)


async def make_bench(redis: Redis, valkey: Valkey, **variables: Any) -> Bench:
    settings = make_settings(valkey.url, **variables)
    bench = Bench(redis, Keys(settings.namespace), settings)
    await bench.serve()
    return bench


async def expiries(bench: Bench, conversation: str) -> set[int]:
    """The moments at which the conversation's keys expire, in milliseconds since the epoch."""
    names = await keys_of(bench, conversation)
    assert names, "it is there"
    return {await bench.redis.pexpiretime(name) for name in names}


async def keys_of(bench: Bench, conversation: str) -> list[str]:
    pattern = f"{bench.keys.conversation(conversation)}*"
    return [key async for key in bench.redis.scan_iter(pattern)]


async def commit(bench: Bench, claim: Claim) -> None:
    assert (await bench.claims.commit(claim, completion(claim, 3))).outcome is WriteOutcome.OK


async def fail(bench: Bench, claim: Claim) -> None:
    assert (await bench.claims.fail(claim, TurnFailed("broken"))).outcome is WriteOutcome.OK


async def cancel(bench: Bench, claim: Claim) -> None:
    assert await bench.submissions.cancel(claim.job_id, "default") is WriteOutcome.OK


async def give_up(bench: Bench, claim: Claim) -> None:
    """Its worker is gone, and its time is over."""
    await bench.redis.zadd(bench.keys.open_jobs, {claim.job_id: 1})
    await bench.redis.delete(bench.keys.lease(claim.job_id))
    assert (await bench.keep(sweep=True)).late == 1


@pytest.mark.parametrize("end", [commit, fail, cancel, give_up])
async def test_a_conversation_expires_whole_and_never_under_a_pending_turn(
    mortal: Bench, end: Callable[[Bench, Claim], Awaitable[None]]
) -> None:
    first = await mortal.submit()
    assert await expiries(mortal, first.conversation_id) == {NEVER}, "it has just begun"
    claim = await mortal.claim()
    await mortal.claims.commit(claim, completion(claim))
    (moment,) = await expiries(mortal, first.conversation_id)
    seconds, _ = await mortal.redis.time()
    assert abs(moment / 1000 - TTL_S - seconds) < 60
    second = await mortal.submit(first.conversation_id)
    third = await mortal.submit(first.conversation_id)
    assert await expiries(mortal, first.conversation_id) == {NEVER}
    claim = await mortal.claim()
    assert claim.job_id == second.job_id
    assert await expiries(mortal, first.conversation_id) == {NEVER}
    await end(mortal, claim)
    assert await expiries(mortal, first.conversation_id) == {NEVER}, "one turn still waits"
    await mortal.submissions.cancel(third.job_id, "default")
    (later,) = await expiries(mortal, first.conversation_id)
    assert later >= moment


async def test_after_its_time_nothing_of_a_conversation_is_left(
    redis: Redis, valkey: Valkey
) -> None:
    bench = await make_bench(redis, valkey, PALAVER_CONVERSATION_TTL=0.3)
    submission = await bench.submit()
    claim = await bench.claim()
    await bench.claims.commit(claim, completion(claim))
    names = await keys_of(bench, submission.conversation_id)
    async with asyncio.timeout(10):
        while left := await bench.redis.exists(*names):
            assert left == len(names), "nothing is half-expired"
            await asyncio.sleep(0.01)
    with pytest.raises(NoSuchConversation):
        await bench.submit(submission.conversation_id)


async def turn(
    bench: Bench, conversation: str | None, *, replace_from: int | None = None, shows: int = 1
) -> tuple[str, str]:
    """One whole turn, with so many messages before it in view; returns conversation and job."""
    submission = await bench.submit(conversation, replace_from=replace_from)
    claim = await bench.claim()
    assert claim.history is not None
    number = claim.history.next_number
    done = completion(claim, number, offset=number - shows)
    assert (await bench.claims.commit(claim, done)).outcome is WriteOutcome.OK
    return submission.conversation_id, submission.job_id


async def test_the_history_limit_never_parts_a_reply_from_its_prompt(
    redis: Redis, valkey: Valkey
) -> None:
    bench = await make_bench(redis, valkey, PALAVER_HISTORY_LIMIT=4)
    conversation, first = await turn(bench, None, shows=0)
    _, second = await turn(bench, conversation, replace_from=2)
    assert await jobs_by_number(bench, conversation) == {1: first, 2: second, 3: second}
    # One message too many: the whole turn goes, which is both prompts and their reply.
    _, third = await turn(bench, conversation, shows=0)
    assert await jobs_by_number(bench, conversation) == {4: third, 5: third}
    _, fourth = await turn(bench, conversation, replace_from=5)
    # What the window shows stays, however long that is.
    _, fifth = await turn(bench, conversation, shows=3)
    assert await jobs_by_number(bench, conversation) == {
        4: third, 5: fourth, 6: fourth, 7: fifth, 8: fifth,
    }  # fmt: skip


async def test_the_history_limit_takes_nothing_that_the_window_shows(
    redis: Redis, valkey: Valkey
) -> None:
    bench = await make_bench(redis, valkey, PALAVER_HISTORY_LIMIT=1)
    conversation, _ = await turn(bench, None, shows=0)
    _, second = await turn(bench, conversation, shows=2)
    _, third = await turn(bench, conversation, shows=2)
    assert await jobs_by_number(bench, conversation) == {3: second, 4: second, 5: third, 6: third}


async def jobs_by_number(bench: Bench, conversation: str) -> dict[int, str]:
    """Every message's job, which must not depend on how one pages."""
    resources = Conversations(bench.redis, bench.keys, bench.settings)
    whole = await resources.page(conversation, "default", 500, 0)
    assert whole is not None
    for limit in range(1, len(whole.messages)):
        pages: list[tuple[StoredMessage, ...]] = []
        before: int | None = 0
        while before is not None:
            page = await resources.page(conversation, "default", limit, before)
            assert page is not None
            pages.insert(0, page.messages)
            before = page.next
        assert [message for messages in pages for message in messages] == list(whole.messages)
    return {message.number: message.job_id for message in whole.messages}


async def test_deleting_a_conversation_fences_the_worker_on_it(bench: Bench) -> None:
    conversation, done = await turn(bench, None, shows=0)
    submission = await bench.submit(conversation)
    waiting = await bench.submit(conversation)
    claim = await bench.claim()
    resources = Conversations(bench.redis, bench.keys, bench.settings)
    assert await resources.delete(conversation, "default") is True
    assert (
        await bench.claims.publish(claim, 0, PieceRecord(text="x", token_ids=(1,)))
        is WriteOutcome.FENCED
    )
    assert await bench.claims.beat([claim], "w1") == [WriteOutcome.FENCED]
    assert (await bench.claims.commit(claim, completion(claim, 3))).outcome is WriteOutcome.GONE
    assert (await bench.claims.fail(claim, TurnFailed("late"))).outcome is WriteOutcome.DUP
    assert await keys_of(bench, conversation) == []
    assert await bench.jobs.get(done, "default") is None
    for job in (submission.job_id, waiting.job_id):
        state = await bench.jobs.get(job, "default")
        assert state is not None
        assert state.status == "cancelled"
    assert await bench.leftovers() == set()
