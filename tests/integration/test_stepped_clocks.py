"""A server's clock that is set changes no deadline of a turn under way, and takes no turn away.

Redis's own clock cannot be set here. What a step looks like can: everything that is stored moves
the other way, and so does the clock of the worker.
"""

import asyncio
import dataclasses
import secrets
from typing import Any

import pytest

from shared import ids
from shared.errors import LimitReached
from shared.store.claims import Claims
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.server_clock import ServerClock, steady_s
from shared.wire.claim import Claim
from shared.wire.limits import Limits
from shared.wire.worker_report import WorkerReport
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import POOL, Bench, completion
from tests.servers import make_settings, running_valkey

TWO_HOURS_S = 7200
LEASE_MS = 30_000


class SteadyClock:
    """A worker's own clock."""

    set_back_s = 0.0

    def __call__(self) -> float:
        return steady_s() - self.set_back_s


class Worker:
    """The scripts, as one worker with a clock of its own calls them."""

    def __init__(self, bench: Bench, name: str) -> None:
        self.name = name
        self.steady = SteadyClock()
        self._bench = bench
        keys, settings = bench.keys, bench.settings
        clock = ServerClock(bench.redis, keys, lease_s=settings.lease, steady=self.steady)
        self.claims = Claims(bench.redis, keys, settings, pool=POOL, clock=clock)

    async def claim(self) -> Claim | None:
        claims = await self.claims.take(self.name, secrets.token_hex(8), 1)
        return claims[0] if claims else None

    async def sweep(self) -> int:
        """Keep the queue; returns how many turns it has ended or taken away."""
        await self._bench.redis.set(self._bench.keys.keeper, self.name)
        before = await self._bench.redis.zcard(self._bench.keys.leases)
        kept = await self.claims.keep(self.name, may_reclaim=True, sweep=True)
        assert kept is not None
        after = await self._bench.redis.zcard(self._bench.keys.leases)
        return int(kept.late + kept.lost + before - after)

    async def reclaim(self) -> Claim | None:
        await self.sweep()
        return await self.claim()


@pytest.fixture
def workers(bench: Bench) -> list[Worker]:
    return [Worker(bench, name) for name in ("w1", "w2")]


async def step(bench: Bench, workers: list[Worker], by_s: float) -> None:
    """Set the server's clock forward, or back: what it was is `by_s` ago."""
    redis, keys = bench.redis, bench.keys
    for worker in workers:
        worker.steady.set_back_s += by_s
    for job in await redis.zrange(keys.open_jobs, 0, -1):
        for field in ("created", "started", "deadline", "readied"):
            if (value := await redis.hget(keys.job(job), field)) is not None:
                await redis.hset(keys.job(job), field, int(value) - int(by_s * 1000))
        await redis.zincrby(keys.open_jobs, -by_s * 1000, job)
        if (left := await redis.pttl(keys.lease(job))) > 0:
            await redis.pexpire(keys.lease(job), max(1, left - int(by_s * 1000)))
            if by_s > 0:
                await redis.delete(keys.lease(job))
    for name in (keys.leases, keys.hold(POOL)):
        for job in await redis.zrange(name, 0, -1):
            await redis.zincrby(name, -by_s * 1000, job)
    for name in (keys.workers, keys.pools):
        for member in await redis.zrange(name, 0, -1):
            await redis.zincrby(name, -by_s * 1000, member)


async def deadline(bench: Bench, job: str) -> float:
    """Seconds from now by the server's clock."""
    seconds, micros = await bench.redis.time()
    stored = await bench.redis.hget(bench.keys.job(job), "deadline")
    score = await bench.redis.zscore(bench.keys.open_jobs, job)
    assert int(stored) == int(score)
    return float(int(stored) / 1000 - seconds - micros / 1e6)


async def test_a_model_whose_last_worker_has_left_is_not_served_again(
    bench: Bench, workers: list[Worker]
) -> None:
    submission = await bench.submit()
    assert await workers[0].claim() is not None
    assert await workers[1].sweep() == 0
    await step(bench, workers, TWO_HOURS_S)
    await bench.redis.zadd(bench.keys.pools, {"left": 0})
    await bench.redis.hset(bench.keys.pool("left"), "since", 1)
    assert await workers[1].sweep() == 0
    assert await deadline(bench, submission.job_id) > 0, "the step was noticed"
    assert await bench.redis.zscore(bench.keys.pools, "left") == 0


@pytest.mark.parametrize("by_s", [TWO_HOURS_S, -TWO_HOURS_S, 120, -120])
async def test_a_running_turn_goes_on_where_it_runs(
    bench: Bench, workers: list[Worker], by_s: int
) -> None:
    alive, other = workers
    submission = await bench.submit()
    claim = await alive.claim()
    assert claim is not None
    assert await other.sweep() == 0
    left_s = await deadline(bench, submission.job_id)
    await step(bench, workers, by_s)
    for _ in range(2):
        assert await other.sweep() == 0
        assert await other.reclaim() is None
        assert await alive.sweep() == 0
    assert await alive.claims.beat([claim], alive.name) == [WriteOutcome.OK]
    assert 0 < await bench.redis.pttl(bench.keys.lease(claim.job_id)) <= LEASE_MS
    assert await deadline(bench, submission.job_id) == pytest.approx(left_s, abs=5)
    assert (await alive.claims.commit(claim, completion(claim))).outcome is WriteOutcome.OK
    job = await bench.redis.hgetall(bench.keys.job(claim.job_id))
    assert (job["status"], job["crashes"]) == ("completed", "0")


@pytest.mark.parametrize("by_s", [TWO_HOURS_S, -TWO_HOURS_S])
async def test_a_waiting_turn_has_the_time_left_that_it_had(
    bench: Bench, workers: list[Worker], by_s: int
) -> None:
    worker, other = workers
    await bench.submit()
    for one in workers:
        await one.sweep()
    await step(bench, workers, by_s)
    later = await bench.submit(prompt="Accepted by the new clock.")
    first = await worker.claim()
    second = await other.claim()
    assert first is not None
    assert second is not None
    assert second.job_id == later.job_id
    for claim in (first, second):
        assert claim.remaining_s == pytest.approx(bench.settings.job_timeout, abs=10)


@pytest.mark.parametrize("by_s", [TWO_HOURS_S, -TWO_HOURS_S])
async def test_a_turn_waits_for_its_home_as_long_as_before_the_step(
    bench: Bench, workers: list[Worker], by_s: int
) -> None:
    conversations = []
    for _ in range(2):
        await bench.submit()
        claim = await bench.claim("w1")
        await bench.claims.commit(claim, completion(claim, saves_ms=5000))
        conversations.append(claim.conversation_id)
    await bench.redis.zrem(bench.of_pool("free"), "w1")
    for worker in workers:
        await worker.sweep()
    before = await bench.submit(conversations[0])
    await step(bench, workers, by_s)
    since = await bench.submit(conversations[1])
    for worker in workers:
        await worker.sweep()
    seconds, _ = await bench.redis.time()
    for submission in (before, since):
        ends_ms = await bench.redis.zscore(bench.keys.hold(POOL), submission.job_id)
        assert ends_ms / 1000 - seconds == pytest.approx(10, abs=5)


async def test_a_step_is_made_up_for_once(
    bench: Bench, workers: list[Worker], caplog: pytest.LogCaptureFixture
) -> None:
    submission = await bench.submit()
    for one in workers:
        await one.sweep()
    for _ in range(2):
        await step(bench, workers, TWO_HOURS_S)
        for one in workers:
            assert await one.sweep() == 0
    assert await deadline(bench, submission.job_id) == pytest.approx(
        bench.settings.job_timeout, abs=10
    )
    assert await bench.redis.get(f"{bench.keys.namespace}:steps") == "2"
    assert "stepped by 7200" in caplog.text


async def test_the_turn_of_a_dead_worker_is_taken_over_after_a_step_back(
    bench: Bench, workers: list[Worker]
) -> None:
    dead, other = workers
    await bench.submit()
    claim = await dead.claim()
    assert claim is not None
    await other.sweep()
    await step(bench, workers, -TWO_HOURS_S)
    await other.sweep()
    assert 0 < await bench.redis.pttl(bench.keys.lease(claim.job_id)) <= LEASE_MS
    await bench.crash(claim)  # as it is a lease later
    assert await other.reclaim() is not None


async def test_a_slow_answer_is_no_step(bench: Bench) -> None:
    """The script runs long after it was sent: by then it is later than its worker said."""
    worker = Worker(bench, "w1")
    await worker.sweep()
    await bench.submit()
    calls = 0

    async def late(*names: str, **arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 1:
            arguments["latest"] = arguments["earliest"]
        return await bench.claims._call(*names, **arguments)

    arguments = {"worker": "w1", "pool": POOL, "nonce": "n", "n": 0, "taken_ms": 1}
    assert await worker.claims.clock.call(late, "take", **arguments) == ["TAKEN"]
    assert calls == 2
    assert not await bench.redis.exists(f"{bench.keys.namespace}:steps")


async def test_a_heartbeat_tells_of_a_step(bench: Bench, workers: list[Worker]) -> None:
    clock = workers[0].claims.clock
    await clock.look()
    submission = await bench.submit()
    before = await deadline(bench, submission.job_id)
    await step(bench, workers, TWO_HOURS_S)
    sent_s = clock.steady_s()
    answer = await bench.workers.announce("w1", WorkerReport(model_name=POOL), ttl_s=60)
    assert await clock.compare(sent_s, answer.server_ms, answer.steps)
    assert await bench.redis.get(f"{bench.keys.namespace}:steps") == "1"
    assert abs(await deadline(bench, submission.job_id) - before) < 5


async def test_an_answer_that_came_late_tells_nothing(bench: Bench) -> None:
    clock = bench.claims.clock
    await clock.look()
    answer = await bench.workers.announce("w1", WorkerReport(model_name=POOL), ttl_s=60)
    late_s = clock.steady_s() - 10
    assert not await clock.compare(late_s, answer.server_ms - 10_000, answer.steps)
    assert not await bench.redis.exists(f"{bench.keys.namespace}:steps")


async def test_what_an_owner_owes_is_no_more_than_a_minute_after_a_step_back(bench: Bench) -> None:
    submission = await bench.submit(owner="ada")
    now_s, _ = await bench.redis.time()
    rate = f"{bench.keys.namespace}:rate:ada"
    await bench.redis.set(rate, (now_s + TWO_HOURS_S) * 1000)
    limited = dataclasses.replace(
        submission,
        job_id=ids.new_job(),
        conversation_id=ids.new_conversation(),
        limits=Limits(requests_per_minute=6),
    )
    with pytest.raises(LimitReached) as refused:
        await bench.submissions.submit(limited)
    assert refused.value.wait_s <= 10


@pytest.mark.slow
async def test_a_server_that_hangs_has_not_set_its_clock() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url)
        redis: Any = connect(settings)
        async with redis:
            keys = Keys(settings.namespace)
            clock = ServerClock(redis, keys, lease_s=settings.lease)
            await clock.look()
            server.hang()
            looking = asyncio.create_task(clock.look())
            await asyncio.sleep(5)  # what passes is what is looked at
            server.go_on()
            await looking
            await clock.look()
            assert not await redis.exists(f"{settings.namespace}:steps")
