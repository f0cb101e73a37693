"""A worker that is asked to drain ends in good order, wherever the question comes from."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.workers import Workers
from shared.wire.drain_answer import DrainAnswer
from shared.wire.worker_report import WorkerReport
from tests.counts import wrong_counts
from tests.integration.bench import POOL, Bench
from tests.scripted import ScriptedEngine
from tests.servers import Valkey, make_settings, running_api, running_valkey, running_worker
from tests.servers import until_ready as until_accepted

PATIENCE_S = 20.0


@pytest.fixture
def settings(valkey: Valkey) -> Settings:
    return make_settings(valkey.url, PALAVER_HEARTBEAT=0.1, PALAVER_LEASE=30, PALAVER_GRACE=20)


class Gate:
    """Holds an engine at its first step until it is opened."""

    def __init__(self) -> None:
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_reached = asyncio.Event()

    def step(self, _position: int) -> "asyncio.Future[None] | None":
        self.is_reached.set()
        return None if self._opened.done() else self._opened

    def open(self) -> None:
        if not self._opened.done():
            self._opened.set_result(None)


@dataclass(frozen=True)
class Pair:
    """An API and two workers."""

    client: httpx.AsyncClient
    redis: Any
    keys: Keys
    workers: Workers
    tasks: "dict[str, asyncio.Task[bool]]"

    async def job(self, prompt: str, conversation: int | None = None) -> dict[str, Any]:
        body = {"prompt": prompt} | ({"id": conversation} if conversation else {})
        answer = await self.client.post("/jobs", json=body)
        assert answer.status_code == 202, answer.text
        accepted: dict[str, Any] = answer.json()
        return accepted

    async def worker_of(self, job: str) -> str:
        """Which one runs it."""
        name = str(await self.redis.hget(self.keys.job(job), "worker"))
        assert name in self.tasks
        return name

    async def home_of(self, conversation: int) -> str:
        return str(await self.redis.hget(self.keys.conversation(str(conversation)), "home"))

    async def ended(self, job: str) -> dict[str, Any]:
        """Its state, once it has ended."""
        return dict((await self.client.get(f"/jobs/{job}?wait=20")).json())


@asynccontextmanager
async def running_pair(
    settings: Settings, redis: Redis, step: Callable[[int], Any]
) -> AsyncIterator[Pair]:
    keys, tasks = Keys(settings.namespace), dict[str, asyncio.Task[bool]]()
    workers = Workers(redis, keys)
    async with (
        running_api(settings) as client,
        running_worker(settings, ScriptedEngine(step=step)) as first,
        registered(workers, tasks, first),
        running_worker(settings, ScriptedEngine(step=step)) as second,
        registered(workers, tasks, second),
    ):
        await until_accepted(client)
        yield Pair(client, redis, keys, workers, tasks)


@asynccontextmanager
async def registered(
    workers: Workers, tasks: "dict[str, asyncio.Task[bool]]", task: "asyncio.Task[bool]"
) -> AsyncIterator[None]:
    """Once this worker is known, it is noted under its id."""
    async with asyncio.timeout(PATIENCE_S):
        while not (new := set(await workers.all()) - set(tasks)):
            await asyncio.sleep(0.01)
    tasks[new.pop()] = task
    yield


async def ends(task: "asyncio.Task[bool]") -> bool:
    async with asyncio.timeout(PATIENCE_S):
        return await task


async def test_it_finishes_what_it_runs_takes_nothing_more_and_ends(
    settings: Settings, redis: Redis
) -> None:
    gate = Gate()
    async with running_pair(settings, redis, gate.step) as pair:
        job = await pair.job("Before.")
        await gate.is_reached.wait()
        drained = await pair.worker_of(job["job"])
        (other,) = set(pair.tasks) - {drained}
        assert await pair.workers.ask_to_drain(drained) is DrainAnswer.OK
        later = [await pair.job(f"Later {n}.") for n in range(12)]
        assert (await pair.workers.all())[drained].is_draining
        gate.open()
        states = [await pair.ended(one["job"]) for one in (job, *later)]
        assert await ends(pair.tasks[drained])
        assert not pair.tasks[other].done()
        assert set(await pair.workers.all()) == {other}
        homes = {await pair.home_of(one["id"]) for one in later}
        again = await pair.ended((await pair.job("Again.", job["id"]))["job"])
        assert await pair.home_of(job["id"]) == other, "the conversation has moved"
    assert [state["status"] for state in states] == ["completed"] * 13
    assert [state["attempts"] for state in (*states, again)] == [1] * 14
    assert homes == {other}


async def test_what_does_not_end_within_its_grace_goes_on_elsewhere(
    valkey: Valkey, redis: Redis, settings: Settings
) -> None:
    settings = settings.model_copy(update={"grace": 0.0})
    gate = Gate()
    async with running_pair(settings, redis, gate.step) as pair:
        job = await pair.job("Hand me over.")
        await gate.is_reached.wait()
        drained = await pair.worker_of(job["job"])
        assert await pair.workers.ask_to_drain(drained) is DrainAnswer.OK
        assert await ends(pair.tasks[drained])
        gate.open()
        state = await pair.ended(job["job"])
        assert await pair.home_of(job["id"]) != drained
    assert (state["status"], state["attempts"]) == ("completed", 1)
    assert state["result"]["reply"] == "You said: Hand me over."


async def test_it_hears_of_it_at_once(valkey: Valkey, redis: Redis) -> None:
    """Not with its next report, which is minutes away."""
    settings = make_settings(valkey.url, PALAVER_HEARTBEAT=300, PALAVER_LEASE=900)
    async with running_pair(settings, redis, lambda _: None) as pair:
        name, task = next(iter(pair.tasks.items()))
        channel = pair.keys.notices(name)
        async with asyncio.timeout(PATIENCE_S):
            while dict(await pair.redis.pubsub_numsub(channel))[channel] == 0:
                await asyncio.sleep(0.01)
        assert await pair.workers.ask_to_drain(name) is DrainAnswer.OK
        assert await ends(task)


async def test_it_ends_although_the_notice_was_lost(settings: Settings, redis: Redis) -> None:
    """Each of its reports is answered with whether it is to drain."""
    async with running_pair(settings, redis, lambda _: None) as pair:
        name, task = next(iter(pair.tasks.items()))
        await pair.redis.hset(pair.keys.worker(name), "draining", "1")
        assert await ends(task)


async def test_asked_again_and_again_it_drains_once(settings: Settings, redis: Redis) -> None:
    async with running_pair(settings, redis, lambda _: None) as pair:
        name, task = next(iter(pair.tasks.items()))
        answers = await asyncio.gather(*(pair.workers.ask_to_drain(name) for _ in range(20)))
        assert DrainAnswer.OK in answers
        assert await ends(task)
        assert await pair.workers.ask_to_drain(name) is DrainAnswer.GONE
        assert not await pair.redis.exists(pair.keys.worker(name))


async def test_a_worker_that_is_told_to_stop_has_not_drained(
    settings: Settings, redis: Redis
) -> None:
    """Its supervisor starts it again."""
    async with running_pair(settings, redis, lambda _: None) as pair:
        tasks = list(pair.tasks.values())
    assert [await task for task in tasks] == [False, False]


async def test_a_worker_that_drains_goes_on_draining_when_its_entry_is_lost(bench: Bench) -> None:
    report = WorkerReport(model_name=POOL, fingerprint="m", slots=8, window=3500)
    await bench.workers.drain("w1", POOL, ttl_s=60)
    await bench.redis.delete(bench.keys.worker("w1"))
    answer = await bench.workers.announce("w1", replace(report, is_draining=True), ttl_s=60)
    assert answer.is_draining
    await bench.submit()
    assert await bench.take("w1") == []
    assert await bench.redis.zscore(bench.keys.free(POOL), "w1") is None


async def test_a_report_that_overtakes_the_word_of_it_counts_as_that(bench: Bench) -> None:
    report = WorkerReport(model_name=POOL, fingerprint="m", slots=8, window=3500)
    await bench.serve("w1")
    assert await bench.redis.zscore(bench.keys.free(POOL), "w1") is not None
    await bench.workers.announce("w1", replace(report, is_draining=True), ttl_s=60)
    assert await bench.redis.zscore(bench.keys.free(POOL), "w1") is None
    assert await wrong_counts(bench.redis, bench.keys) == []


async def test_a_registration_that_arrives_late_does_not_undo_it(bench: Bench) -> None:
    report = WorkerReport(model_name=POOL, fingerprint="m", slots=8, window=3500)
    await bench.workers.drain("w1", POOL, ttl_s=60)
    assert await bench.workers.register("w1", report, ttl_s=60) is None
    assert await bench.redis.zscore(bench.keys.free(POOL), "w1") is None
    assert await wrong_counts(bench.redis, bench.keys) == []


async def test_nobody_drains_who_is_not_there(bench: Bench) -> None:
    assert await bench.workers.ask_to_drain("w7") is DrainAnswer.GONE
    assert not await bench.redis.exists(bench.keys.worker("w7"))


async def test_a_worker_of_an_older_version_cannot_be_asked(bench: Bench) -> None:
    """It would go on for ever, as it hears of nothing."""
    await bench.redis.hset(bench.keys.worker("old"), "model", POOL)
    assert await bench.workers.ask_to_drain("old") is DrainAnswer.OLD
    assert await bench.redis.hgetall(bench.keys.worker("old")) == {"model": POOL}


async def test_a_worker_can_be_asked_while_memory_is_short() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url)
        redis: Any = connect(settings)
        short = Bench(redis, Keys(settings.namespace), settings)
        await short.serve()
        await redis.config_set("maxmemory", 1)
        assert await short.workers.ask_to_drain("w1") is DrainAnswer.OK
        assert (await short.workers.all())["w1"].is_draining
        await redis.aclose(close_connection_pool=True)


async def test_a_worker_stops_in_good_order_although_redis_refuses_its_last_writes() -> None:
    with running_valkey() as server:
        admin: Any = connect(make_settings(server.url))
        await admin.acl_setuser(
            "clerk", enabled=True, nopass=True, categories=["+@all"], keys=["*"], channels=["*"]
        )
        settings = make_settings(f"unix://clerk:any@{server.socket}")
        workers = Workers(admin, Keys(settings.namespace))
        async with running_worker(settings, ScriptedEngine()) as task:
            async with asyncio.timeout(PATIENCE_S):
                while not await workers.all():
                    await asyncio.sleep(0.01)
            await admin.acl_setuser(
                "clerk", enabled=True, commands=["-evalsha", "-eval"], keys=["*"], channels=["*"]
            )
        assert task.done()
        assert task.exception() is None
        names = {client["user"] for client in await admin.client_list()}
        assert names == {"default"}, "no connection is left"
        await admin.aclose(close_connection_pool=True)
