"""A worker reports what has changed, and lives on without being told everything again."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.store.workers import Workers
from shared.wire.announced import Announced
from shared.wire.worker_report import WorkerReport
from tests.integration.bench import POOL, Bench
from tests.scripted import ScriptedEngine
from worker.engine.dropped_sessions import DroppedSessions
from worker.homes import Homes
from worker.registration import Registration
from worker.report import Reporter
from worker.running_turn import RunningTurns
from worker.turn_metrics import TurnMetrics

REPORT = WorkerReport(model_name=POOL, fingerprint="m", slots=8, window=3500)
NEW = "new"
"""A worker that the bench knows nothing of."""
PER_MINUTE = 6
"""Heartbeats at the usual interval."""
BEAT_S = 60


class CountedWorkers(Workers):
    """Counts whole reports, and those that only prolong one."""

    def __init__(self, bench: Bench) -> None:
        super().__init__(bench.redis, bench.keys)
        self.counts: Counter[str] = Counter()

    async def announce(self, *arguments: Any) -> Announced:
        self.counts["whole"] += 1
        return await super().announce(*arguments)

    async def announce_unchanged(self, *arguments: Any) -> Announced | None:
        self.counts["unchanged"] += 1
        return await super().announce_unchanged(*arguments)


@pytest.fixture
def workers(bench: Bench) -> CountedWorkers:
    return CountedWorkers(bench)


@pytest.fixture
def metrics() -> TurnMetrics:
    return TurnMetrics()


@pytest.fixture
def drained() -> list[bool]:
    return []


@pytest.fixture
def registration(
    bench: Bench, workers: CountedWorkers, metrics: TurnMetrics, drained: list[bool]
) -> Registration:
    reporter = Reporter(
        ScriptedEngine(), RunningTurns(), metrics, context_length=3500, window=3500,
        capabilities=("chat",), patience_ms=10_000,
    )  # fmt: skip
    return Registration(
        workers, bench.claims.clock, reporter, Homes(DroppedSessions()), "w1", interval_s=BEAT_S,
        on_drain=lambda: drained.append(True), on_keeper=lambda _: None,
    )  # fmt: skip


async def test_a_report_that_does_not_change_is_sent_whole_now_and_then(
    registration: Registration, workers: CountedWorkers
) -> None:
    for _ in range(2 * PER_MINUTE):
        await registration.renew()
    assert workers.counts == {"whole": 2, "unchanged": 2 * PER_MINUTE - 2}


async def test_in_a_long_row_an_idle_worker_rests_between_reports(
    bench: Bench,
    registration: Registration,
    workers: CountedWorkers,
    metrics: TurnMetrics,
) -> None:
    row = {f"other{number}": 2**52 for number in range(1_000)}
    await bench.redis.zadd(bench.keys.workers, row)
    await registration.renew()  # hears how long the row is
    for _ in range(7):
        await registration.renew()
    assert workers.counts == {"whole": 1, "unchanged": 3}
    # It counts as alive for three of these longer intervals.
    left_s = await bench.redis.pttl(bench.keys.worker("w1")) / 1000
    assert left_s == pytest.approx(3 * 3 * BEAT_S, abs=5)
    metrics.handed_over()
    await registration.renew()
    assert workers.counts["whole"] == 2


async def test_what_has_changed_is_reported_at_once(
    registration: Registration, workers: CountedWorkers, metrics: TurnMetrics
) -> None:
    await registration.renew()
    metrics.handed_over()
    await registration.renew()
    assert workers.counts == {"whole": 2}
    assert (await workers.all())["w1"].turns.counts.handed_over == 1


async def test_a_server_that_has_lost_the_report_gets_it_again(
    bench: Bench, registration: Registration, workers: CountedWorkers
) -> None:
    await registration.renew()
    before = await workers.stored()
    await bench.redis.delete(bench.keys.worker("w1"), bench.keys.workers)
    await registration.renew()
    assert await workers.stored() == before
    assert workers.counts == {"whole": 2, "unchanged": 1}


async def test_an_entry_that_has_no_report_is_none(bench: Bench, workers: CountedWorkers) -> None:
    await bench.redis.hset(bench.keys.worker(NEW), "silent", "1")
    assert await workers.announce_unchanged(NEW, REPORT, 60) is None


@pytest.mark.parametrize("announce", ["announce", "announce_unchanged"])
async def test_a_worker_that_is_heard_of_counts_as_alive_and_free(
    bench: Bench, announce: str
) -> None:
    keys, redis = bench.keys, bench.redis
    await bench.workers.announce(NEW, REPORT, 1)
    heard = (keys.workers, keys.pools, keys.free(POOL), f"{keys.namespace}:pool:{POOL}:workers")
    await redis.delete(*heard)
    call: Callable[..., Any] = getattr(bench.workers, announce)
    await call(NEW, REPORT, 60)
    assert await redis.pttl(keys.worker(NEW)) > 50_000
    assert await redis.exists(*heard) == len(heard)
    assert await bench.workers.is_served(POOL)


async def test_a_busy_worker_is_not_free_because_it_lives(bench: Bench) -> None:
    busy = replace(REPORT, running=8)
    await bench.workers.announce(NEW, busy, 60)
    await bench.workers.announce_unchanged(NEW, busy, 60)
    assert await bench.redis.zscore(bench.keys.free(POOL), NEW) is None


async def test_a_worker_that_does_nothing_hears_that_it_is_to_drain(
    registration: Registration, workers: CountedWorkers, drained: list[bool]
) -> None:
    await registration.renew()
    await workers.ask_to_drain("w1")
    await registration.renew()
    assert drained == [True]
    assert workers.counts == {"whole": 1, "unchanged": 1}
