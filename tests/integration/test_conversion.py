"""The queue of a version before data format 3 is taken along, while its processes still run."""

import secrets
from typing import Any

import pytest

from shared import ids
from shared.wire.sampling import Sampling
from shared.wire.submission import Submission
from shared.wire.write_outcome import WriteOutcome
from tests.faults.old_wire.claim import Claim as OldClaim
from tests.faults.old_wire.claims import Claims as OldClaims
from tests.faults.old_wire.completion import Completion as OldCompletion
from tests.faults.old_wire.keys import WORKER_GROUP
from tests.faults.old_wire.keys import Keys as OldKeys
from tests.faults.old_wire.messages import StoredMessage as OldMessage
from tests.faults.old_wire.submissions import Submissions as OldSubmissions
from tests.faults.old_wire.turn_request import TurnRequest as OldTurnRequest
from tests.integration.bench import POOL, Bench, completion

OLD_QUEUE = ("owners", "clock", "tags", "claims", "permits")


class OldVersion:
    """The scripts of the old version, as its API and its workers call them."""

    def __init__(self, bench: Bench) -> None:
        self.redis: Any = bench.redis
        self.keys = OldKeys(bench.keys.namespace)
        self.submissions = OldSubmissions(bench.redis, self.keys, bench.settings)
        self.claims = OldClaims(bench.redis, self.keys, bench.settings)

    async def submit(self, conversation: str | None = None, owner: str = "default") -> Submission:
        request = OldTurnRequest(
            prompt="Hello", context=None, replace_from=None, sampling=Sampling()
        )
        submission = Submission(
            job_id=ids.new_job(),
            conversation_id=conversation or ids.new_conversation(),
            owner_id=owner,
            new=conversation is None,
            instructions="Persona.",
            request=request,  # type: ignore[arg-type]  # the old class
        )
        assert await self.submissions.submit(submission)
        return submission

    async def claim(self, worker: str = "old") -> OldClaim | None:
        permits = await self.redis.xreadgroup(
            WORKER_GROUP, worker, {self.keys.permits: ">"}, count=1
        )
        if not permits:
            return None
        return await self.claims.claim(permits[0][1][0][0], worker, secrets.token_hex(8))

    async def commit(self, claim: OldClaim) -> WriteOutcome:
        assert claim.history is not None
        number = claim.history.next_number
        messages = [
            OldMessage(
                number=number + n,
                role=role,  # type: ignore[arg-type]  # a literal
                content="Hi",
                timestamp_ms=1,
                tokens=2,
                job_id=claim.job_id,
            )
            for n, role in enumerate(("user", "assistant"))
        ]
        done = OldCompletion(
            user=messages[0],
            assistant=messages[1],
            offset=1,
            tokens=4,
            window=b"{}",
            result=b'{"reply":"Hi"}',
            reply=b'{"reply":"Hi"}',
            piece=None,
        )
        return await self.claims.commit(claim, done)


@pytest.fixture
async def old(bench: Bench) -> OldVersion:
    """A worker of it is there."""
    version = OldVersion(bench)
    await version.claims.ensure_group()
    assert await version.claim() is None
    return version


async def starts(bench: Bench) -> list[str]:
    """All that may start now, in order."""
    return [claim.job_id for claim in await bench.take("w1", 99)]


async def left_of_the_old_queue(bench: Bench) -> set[str]:
    prefix = f"{bench.keys.namespace}:"
    names = {key.removeprefix(prefix) async for key in bench.redis.scan_iter(f"{prefix}*")}
    return {n for n in names if n in OLD_QUEUE or n.startswith(("ready:", "waiting:"))}


async def leases_are_due(bench: Bench) -> None:
    """It is time to look at all of them."""
    for job in await bench.redis.zrange(bench.keys.leases, 0, -1):
        await bench.redis.zadd(bench.keys.leases, {job: 1})


async def is_not_read_any_more(bench: Bench) -> None:
    """The old workers have been gone for long: their group has nobody."""
    for worker in ("old", "older"):
        await bench.redis.xgroup_delconsumer(f"{bench.keys.namespace}:permits", "workers", worker)


async def test_without_an_old_queue_nothing_is_taken_along(bench: Bench) -> None:
    submission = await bench.submit()
    assert await bench.convert() == 0
    assert await starts(bench) == [submission.job_id]


async def test_waiting_turns_are_taken_along_once_in_the_order_of_their_acceptance(
    bench: Bench, old: OldVersion
) -> None:
    accepted = [(await old.submit()).job_id for _ in range(12)]
    assert await bench.convert() == 12
    assert await bench.convert() == 0
    places = await bench.submissions.places(accepted)
    assert [place and place.position for place in places] == list(range(1, 13))
    assert await starts(bench) == accepted
    assert await old.claim() is None
    await is_not_read_any_more(bench)
    await bench.convert()
    assert await left_of_the_old_queue(bench) == set()


async def test_a_long_queue_is_taken_along_by_calls_that_look_at_a_part_of_it(
    bench: Bench, old: OldVersion
) -> None:
    accepted = [(await old.submit(owner=f"owner{n % 7}")).job_id for n in range(120)]
    parts = [await bench.old_queue.take_along() for _ in range(3)]
    assert [(part.number, part.has_more) for part in parts] == [
        (50, True),
        (50, True),
        (20, False),
    ]
    assert await bench.convert() == 0
    places = await bench.submissions.places(accepted)
    assert all(places)
    for owner in range(7):
        theirs = [p.position for n, p in enumerate(places) if n % 7 == owner and p]
        assert theirs == sorted(theirs)
    assert await left_of_the_old_queue(bench) == {"permits"}


async def test_what_the_old_queue_has_of_lost_jobs_is_forgotten(
    bench: Bench, old: OldVersion
) -> None:
    submission = await old.submit()
    await bench.redis.zrem(bench.keys.open_jobs, submission.job_id)
    await bench.redis.delete(bench.keys.job(submission.job_id))
    assert await bench.convert() == 0
    await is_not_read_any_more(bench)
    await bench.convert()
    assert await left_of_the_old_queue(bench) == set()


async def test_owners_take_turns_with_what_they_brought(bench: Bench, old: OldVersion) -> None:
    many = [(await old.submit(owner="many")).job_id for _ in range(4)]
    few = [(await old.submit(owner="few")).job_id for _ in range(2)]
    await bench.convert()
    order = await starts(bench)
    assert {*order[:2]} == {many[0], few[0]}
    assert {*order[2:4]} == {many[1], few[1]}
    assert order[4:] == many[2:]


async def test_new_turns_wait_behind_those_of_their_owner_that_were_taken_along(
    bench: Bench, old: OldVersion
) -> None:
    first = [(await old.submit()).job_id for _ in range(3)]
    await bench.convert()
    later = (await bench.submit()).job_id
    assert await starts(bench) == [*first, later]


async def test_a_conversations_turns_start_one_after_the_other(
    bench: Bench, old: OldVersion
) -> None:
    first = await old.submit()
    second = await old.submit(first.conversation_id)
    await bench.convert()
    claim = await bench.claim("w1")
    assert claim.job_id == first.job_id
    assert await starts(bench) == []
    await bench.claims.commit(claim, completion(claim))
    assert await starts(bench) == [second.job_id]


async def test_a_turn_that_an_old_worker_runs_stays_with_it(bench: Bench, old: OldVersion) -> None:
    submission = await old.submit()
    claim = await old.claim()
    assert claim is not None
    await bench.convert()
    await bench.keep(sweep=True)
    assert await starts(bench) == []
    assert await old.claims.beat(claim, "old") is WriteOutcome.OK
    assert await old.commit(claim) is WriteOutcome.OK
    assert len(await bench.messages(submission.conversation_id)) == 2
    await leases_are_due(bench)
    await bench.keep(sweep=True)
    assert await bench.leftovers() == set()


async def test_a_turn_of_an_old_worker_that_is_lost_is_taken_over(
    bench: Bench, old: OldVersion
) -> None:
    submission = await old.submit()
    claim = await old.claim()
    assert claim is not None
    await bench.convert()
    await bench.redis.delete(bench.keys.lease(claim.job_id))
    await bench.redis.zadd(bench.keys.leases, {claim.job_id: 1})
    heir = await bench.reclaim("w1")
    assert heir is not None
    assert (heir.job_id, heir.crashes, heir.starts) == (submission.job_id, 1, 2)
    assert await old.commit(claim) is WriteOutcome.FENCED
    assert await old.claims.reclaim("older", "nonce") is None
    ended = await bench.claims.commit(heir, completion(heir))
    assert ended.outcome is WriteOutcome.OK
    assert await bench.leftovers() == set()
    await is_not_read_any_more(bench)
    await bench.convert()
    assert await left_of_the_old_queue(bench) == set(), "its permit was bound to the turn"


async def test_what_an_old_worker_gives_back_waits_where_it_stood(
    bench: Bench, old: OldVersion
) -> None:
    first, second = await old.submit(), await old.submit()
    claim = await old.claim()
    assert claim is not None
    await bench.convert()
    assert await old.claims.hand_over(claim) is WriteOutcome.OK
    await bench.convert()
    assert await starts(bench) == [first.job_id, second.job_id]
    assert await bench.redis.zrange(bench.keys.line(POOL), 0, -1) == []


async def test_an_old_worker_that_ends_a_turn_lets_the_new_one_after_it_start(
    bench: Bench, old: OldVersion
) -> None:
    firsts = [await old.submit() for _ in range(3)]
    claims = [await old.claim() for _ in firsts]
    await bench.convert()
    seconds = [await bench.submit(first.conversation_id) for first in firsts]
    for claim in claims:
        assert claim is not None
        assert await old.commit(claim) is WriteOutcome.OK
    await bench.convert()
    await bench.convert()
    assert await starts(bench) == [second.job_id for second in seconds]
    assert await bench.redis.zrange(bench.keys.line(POOL), 0, -1) == []


async def test_a_new_turn_that_an_old_worker_has_started_is_not_started_again(
    bench: Bench, old: OldVersion
) -> None:
    first = await old.submit()
    claim = await old.claim()
    assert claim is not None
    await bench.convert()
    second = await bench.submit(first.conversation_id)
    assert await old.commit(claim) is WriteOutcome.OK
    follower = await old.claim()
    assert follower is not None
    assert follower.job_id == second.job_id
    assert await starts(bench) == []
    await bench.convert()
    await bench.keep(sweep=True)
    assert await starts(bench) == []
    assert await bench.redis.zrange(bench.keys.line(POOL), 0, -1) == []
    assert await old.commit(follower) is WriteOutcome.OK
    await leases_are_due(bench)
    await bench.keep(sweep=True)
    assert await bench.leftovers() == set()


async def test_an_old_turn_behind_a_new_one_is_taken_along_when_that_ends(
    bench: Bench, old: OldVersion
) -> None:
    first = await bench.submit()
    claim = await bench.claim("w1")
    second = await old.submit(first.conversation_id)
    await bench.redis.delete(old.keys.permits)  # no old worker is left
    assert (await bench.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK
    await bench.convert()
    assert await starts(bench) == [second.job_id]


async def test_an_old_turn_that_is_cancelled_before_it_is_taken_along_starts_nowhere(
    bench: Bench, old: OldVersion
) -> None:
    submission, other = await old.submit(), await old.submit()
    assert await bench.submissions.cancel(submission.job_id, "default") is WriteOutcome.OK
    claim = await old.claim()
    assert claim is not None
    assert claim.job_id == other.job_id
    await bench.convert()
    assert await starts(bench) == []


async def test_a_waiting_turn_that_an_old_process_has_ended_leaves_the_line(
    bench: Bench, old: OldVersion
) -> None:
    first = await bench.submit()
    ended = [await bench.submit(first.conversation_id) for _ in range(2)]
    last = await bench.submit()
    for submission in ended:
        await old.submissions.cancel(submission.job_id, "default")
    await bench.keep(sweep=True)
    (place,) = await bench.submissions.places([last.job_id])
    assert place is not None
    assert place.position == 2
    assert await bench.redis.hget(bench.keys.waits, "default") == "2"
    assert await starts(bench) == [first.job_id, last.job_id]


async def test_permits_stay_while_an_old_worker_reads_them(bench: Bench, old: OldVersion) -> None:
    await bench.convert()
    assert await old.claim() is None, "its group is still there"
    await is_not_read_any_more(bench)
    await bench.convert()
    assert await left_of_the_old_queue(bench) == set()
