"""All API processes read the workers through one of them."""

import asyncio
from typing import Any

import pytest
from redis.asyncio import Redis

from shared.config import Settings
from shared.store.keys import Keys
from shared.store.queue import Queue
from shared.store.snapshots import Snapshots, decoded, encoded
from shared.store.workers import Workers
from shared.wire.worker_report import WorkerReport
from tests.integration.bench import POOL, Bench
from tests.servers import Valkey, running_valkey

LONG_S = 60.0


@pytest.fixture
def snapshots(redis: Redis, keys: Keys) -> list[Snapshots]:
    """Those of several API processes."""
    workers = Workers(redis, keys)
    return [Snapshots(redis, keys, workers, period_s=LONG_S) for _ in range(5)]


async def calls(redis: Any) -> dict[str, int]:
    """How often each command was run so far."""
    stats = await redis.info("commandstats")
    return {name.removeprefix("cmdstat_"): figures["calls"] for name, figures in stats.items()}


async def cost(redis: Any, *snapshots: Snapshots) -> dict[str, int]:
    """The commands of one refresh of each."""
    before = await calls(redis)
    for one in snapshots:
        await one.refresh()
    after = await calls(redis)
    used = {name: count - before.get(name, 0) for name, count in after.items() if name != "info"}
    return {name: count for name, count in used.items() if count}


async def test_one_process_reads_the_workers_in_a_period(
    bench: Bench, snapshots: list[Snapshots]
) -> None:
    await bench.serve(*(f"w{number}" for number in range(2, 252)))
    first = await cost(bench.redis, *snapshots)
    assert first["hgetall"] == 250 + 1  # w1 lives, too
    assert (first["set"], first["get"]) == (5 + 1, 4)
    again = await cost(bench.redis, *snapshots)
    assert again == {"set": 5, "get": 5}
    for one in snapshots:
        assert len(await one.latest()) == 251


async def test_whoever_asks_while_the_first_answer_is_read_waits_for_it(
    bench: Bench, snapshots: list[Snapshots]
) -> None:
    await bench.serve(*(f"w{number}" for number in range(2, 100)))
    await snapshots[0].refresh()
    answers = await asyncio.gather(*(snapshots[1].latest() for _ in range(5)))
    assert [len(reports) for reports in answers] == [99] * 5


async def test_what_was_read_lately_is_not_asked_for_again(
    bench: Bench, snapshots: list[Snapshots]
) -> None:
    await snapshots[0].refresh()
    before = await calls(bench.redis)
    for _ in range(10):
        assert set(await snapshots[0].latest()) == {"w1"}
    after = await calls(bench.redis)
    assert {name for name, count in after.items() if count != before.get(name, 0)} <= {"info"}


async def test_all_processes_show_what_the_workers_report(
    bench: Bench, snapshots: list[Snapshots]
) -> None:
    taken = await snapshots[0].refresh()
    assert taken == await bench.workers.all()
    assert await snapshots[1].refresh() == taken
    assert taken["w1"].model_name == POOL


async def test_another_process_goes_on_when_the_first_is_gone(
    bench: Bench, snapshots: list[Snapshots]
) -> None:
    await snapshots[0].refresh()
    await bench.serve("w2")
    assert set(await snapshots[1].refresh()) == {"w1"}
    await bench.redis.delete(bench.keys.snapshot_taken)
    assert set(await snapshots[1].refresh()) == {"w1", "w2"}
    assert set(await snapshots[2].refresh()) == {"w1", "w2"}
    # It comes back, and its own snapshot is not the last one any more.
    assert set(await snapshots[0].refresh()) == {"w1", "w2"}


async def test_a_process_that_dies_while_it_reads_hides_nothing(
    bench: Bench, snapshots: list[Snapshots]
) -> None:
    await bench.redis.set(bench.keys.snapshot_taken, "1")
    assert set(await snapshots[0].refresh()) == {"w1"}


@pytest.mark.parametrize("text", ["", "no base64", "aGVsbG8=", encoded({})[:-4], "[]"])
async def test_what_another_version_stored_hides_nothing(
    bench: Bench, snapshots: list[Snapshots], text: str
) -> None:
    await bench.redis.mset({bench.keys.snapshot_taken: "1", bench.keys.snapshot: text})
    assert set(await snapshots[0].refresh()) == {"w1"}


def test_a_snapshot_that_is_no_object_is_not_read() -> None:
    stored: Any = [1]
    assert decoded(encoded(stored)) is None
    stored = {"w": 1}
    assert decoded(encoded(stored)) is None
    assert decoded(encoded({"w": {"model": "m"}})) == {"w": {"model": "m"}}


async def test_while_memory_is_short_each_process_reads_for_itself(settings: Settings) -> None:
    with running_valkey("--maxmemory", "8mb") as server:
        await _with_short_memory(server, settings)


async def _with_short_memory(server: Valkey, settings: Settings) -> None:
    redis: Any = Redis.from_url(server.url, decode_responses=True)
    keys = Keys(settings.namespace)
    workers = Workers(redis, keys)
    await workers.announce("w1", WorkerReport(model_name="m"), ttl_s=60)
    await redis.config_set("maxmemory", "1")
    snapshots = [Snapshots(redis, keys, workers, period_s=LONG_S) for _ in range(2)]
    for one in snapshots:
        assert set(await one.refresh()) == {"w1"}
    await redis.aclose()


async def test_the_state_of_the_queue_does_not_cost_more_with_more_workers(bench: Bench) -> None:
    async def used() -> dict[str, int]:
        before = await calls(bench.redis)
        await Queue(bench.redis, bench.keys).state()
        after = await calls(bench.redis)
        return {name: count - before.get(name, 0) for name, count in after.items()}

    few = await used()
    await bench.serve(*(f"w{number}" for number in range(50)))
    assert await used() == few


async def test_several_processes_at_once_read_the_workers_once(
    bench: Bench, snapshots: list[Snapshots]
) -> None:
    before = await calls(bench.redis)
    await snapshots[0].refresh()
    await asyncio.gather(*(one.refresh() for one in snapshots[1:]))
    assert (await calls(bench.redis))["hgetall"] - before.get("hgetall", 0) == 1
