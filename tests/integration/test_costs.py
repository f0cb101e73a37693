"""What turns cost Redis, in calls: counts, which do not depend on the machine."""

import asyncio
import contextlib
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import pytest
from redis.asyncio import Redis

from bench.redis_cost.crowd import Crowd, crowd_settings, gather
from shared.store.connection import connect
from shared.store.scripts import FOLDER
from shared.wire.submission import Submission
from shared.wire.worker_report import WorkerReport
from tests.integration.bench import POOL, Bench, completion
from tests.scripted import ScriptedEngine
from tests.servers import Stack, make_settings, running_stack, running_valkey
from tests.sse import received, text_of

TOKENS = 400
TOKEN_S = 0.005
SSE = {"Accept": "text/event-stream"}
FEW: Final = Crowd(owners=10, workers=10, running=10, held=10)
FULL: Final = 200
"""More than any script handles in one call."""
MANY: Final = 3_000
FIRST, SECOND, THIRD = "a", "b", "c"
"""Owners who are served before the others."""
REPORT: Final = WorkerReport(model_name=POOL, fingerprint="m", slots=8)
LONG_S: Final = 3_600
TRIES: Final = 9
BURST: Final = 20
OTHERS: Final = BURST // 3
"""Calls of parts that look after something meanwhile, and the bells of the first and last turn."""
IN_SCRIPTS: Final = {
    "publish",  # by a name, as it is another command on a cluster
    *(
        command.lower()
        for script in (*FOLDER.iterdir(), *FOLDER.joinpath("lib").iterdir())
        if script.is_file()
        for command in re.findall(r"redis\.p?call\('(\w+)'", script.read_text(encoding="utf-8"))
    ),
}
NOT_OF_TURNS: Final = ("info", "eval", "evalsha", "script|load", "client|setinfo")


async def calls(redis: Redis) -> Counter[str]:
    """How often each command ran, inside scripts and outside."""
    stats: dict[str, Any] = await redis.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()})


async def inner_calls(redis: Redis, call: Callable[[], Awaitable[Any]]) -> Counter[str]:
    """The commands that the scripts of a call run."""
    before = await calls(redis)
    await call()
    counted = await calls(redis) - before
    return Counter({name: n for name, n in counted.items() if name not in NOT_OF_TURNS})


@contextlib.asynccontextmanager
async def queue_of(crowd: Crowd) -> AsyncIterator[Bench]:
    """A server that nobody else uses, with a crowd in its queue."""
    with running_valkey() as server:
        settings = crowd_settings(server)
        async with connect(settings) as redis:
            yield await gather(crowd, redis, settings)


async def costs_of_a_turn(crowd: Crowd) -> dict[str, Counter[str]]:
    """What the scripts of a turn run, and those of workers that only live."""
    async with queue_of(crowd) as bench:
        await bench.submit(owner=FIRST)
        claim = await bench.claim()
        submission = await wait_long(bench)
        costs = {
            name: await inner_calls(bench.redis, call)
            for name, call in {
                "submit": lambda: bench.submit(owner=THIRD),
                "places": lambda: bench.submissions.places([submission.job_id]),
                "keep": bench.keep,
                "take": lambda: bench.take("w2"),
                "beat": lambda: bench.claims.beat([claim], "w1"),
                "commit": lambda: bench.claims.commit(claim, completion(claim)),
                "announce": lambda: bench.workers.announce("w3", REPORT, LONG_S),
                "unchanged": lambda: bench.workers.announce_unchanged("w3", REPORT, LONG_S),
                "register": lambda: bench.workers.register("new", REPORT, LONG_S),
                "leave": lambda: bench.workers.leave("new", POOL),
            }.items()
        }
        assert costs["keep"]["xadd"] == 1, "it rings"
        return costs


@pytest.mark.slow
@pytest.mark.parametrize("dimension", ["owners", "workers", "running", "held"])
async def test_a_turn_costs_the_same_however_many_others_there_are(dimension: str) -> None:
    few = await costs_of_a_turn(FEW)
    many = await costs_of_a_turn(Crowd(**{**counts(FEW), dimension: MANY}))
    assert many == few


async def wait_long(bench: Bench) -> Submission:
    """The next turn, ready for longer than a bell may take: the keeper rings for it."""
    submission = await bench.submit(owner=SECOND)
    await bench.redis.hset(bench.keys.job(submission.job_id), "readied", 1)
    return submission


def counts(crowd: Crowd) -> dict[str, int]:
    return {name: getattr(crowd, name) for name in ("owners", "workers", "running", "held")}


async def end_holds(bench: Bench) -> None:
    held = await bench.redis.zrange(bench.keys.hold(POOL), 0, -1)
    await bench.redis.zadd(bench.keys.hold(POOL), dict.fromkeys(held, 1))


async def lose_workers(bench: Bench) -> None:
    """No turn that runs was heard of since its start."""
    running = await bench.redis.zrange(bench.keys.leases, 0, -1)
    await bench.redis.delete(*map(bench.keys.lease, running))
    await let_leases_be_looked_at(bench)


async def let_leases_be_looked_at(bench: Bench) -> None:
    running = await bench.redis.zrange(bench.keys.leases, 0, -1)
    await bench.redis.zadd(bench.keys.leases, dict.fromkeys(running, 1))


async def pass_deadlines(bench: Bench) -> None:
    jobs = await bench.redis.zrange(bench.keys.open_jobs, 0, -1)
    await bench.redis.zadd(bench.keys.open_jobs, dict.fromkeys(jobs, 1))


async def nothing_more(_: Bench) -> None:
    """The queue as it is."""


@pytest.mark.slow
@pytest.mark.parametrize(
    "trouble", [nothing_more, end_holds, lose_workers, let_leases_be_looked_at, pass_deadlines]
)
async def test_the_keeper_does_so_much_at_a_time_however_much_there_is(
    trouble: Callable[[Bench], Awaitable[None]],
) -> None:
    """What is left it does with its next calls."""

    async def cost(number: int) -> Counter[str]:
        crowd = Crowd(owners=number, workers=10, running=number, held=number)
        async with queue_of(crowd) as bench:
            await wait_long(bench)
            await trouble(bench)
            return await inner_calls(bench.redis, lambda: bench.keep(sweep=True))

    assert await cost(5 * FULL) == await cost(FULL)


@contextlib.asynccontextmanager
async def measured_stack(engine: ScriptedEngine) -> AsyncIterator[tuple[Stack, Redis]]:
    """A server that nobody else uses; every script is known to it."""
    with running_valkey() as server:
        settings = make_settings(server.url, PALAVER_LEASE=60, PALAVER_HEARTBEAT=15)
        async with connect(settings) as redis, running_stack(settings, engine) as stack:
            await stack.ask("Hello")
            yield stack, redis


async def top_level_calls(redis: Redis) -> int:
    """How many commands clients have sent, of those that no script runs."""
    counted = await calls(redis)
    return sum(n for name, n in counted.items() if name not in IN_SCRIPTS and name != "info")


async def cheapest(redis: Redis, call: Callable[[], Awaitable[Any]]) -> int:
    """Calls without those of parts that happen to look after something meanwhile."""
    costs = []
    for _ in range(TRIES):
        before = await top_level_calls(redis)
        await call()
        costs.append(await top_level_calls(redis) - before)
    return min(costs)


async def test_a_turn_on_an_idle_worker_is_four_calls() -> None:
    """Submit, the bell, take, commit."""
    async with measured_stack(ScriptedEngine()) as (stack, redis):
        assert await cheapest(redis, lambda: stack.ask("Hello")) <= 4


async def test_a_turn_on_a_busy_worker_is_three_calls() -> None:
    """Submit, take, commit: only the first turn needs a bell, and only the last waits for one."""
    async with measured_stack(ScriptedEngine(slots=1)) as (stack, redis):

        async def burst() -> None:
            await asyncio.gather(*(stack.ask(str(number)) for number in range(BURST)))

        assert await cheapest(redis, burst) <= 3 * BURST + OTHERS


def slow_engine() -> ScriptedEngine:
    """Replies with so many tokens, one after the other."""
    return ScriptedEngine(
        lambda _: "x" * TOKENS,
        piece_length=1,
        step=lambda _: asyncio.ensure_future(asyncio.sleep(TOKEN_S)),
    )


async def script_calls(redis: Redis) -> int:
    return (await calls(redis))["evalsha"]


async def test_a_reply_costs_calls_by_the_second_not_by_the_token() -> None:
    async with measured_stack(slow_engine()) as (stack, redis):
        before, began = await script_calls(redis), time.monotonic()
        await stack.ask("Nobody reads along.")
        unfollowed = await script_calls(redis) - before
        unfollowed_s = time.monotonic() - began
        form = {"prompt": "Somebody does."}
        async with stack.client.stream("POST", "/", json=form, headers=SSE) as response:
            text = text_of([event async for event in received(response)])
        followed = await script_calls(redis) - before - unfollowed
        followed_s = time.monotonic() - began - unfollowed_s
    assert text == "x" * TOKENS
    # A machine that is slow takes longer for a reply, and each second has its calls.
    assert unfollowed <= max(25, 6 * unfollowed_s)
    assert unfollowed < followed <= max(85, 14 * followed_s)
