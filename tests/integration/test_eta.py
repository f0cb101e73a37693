"""The time that a waiting turn is told comes true: measured against when turns really start."""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence

import pytest

from shared.config import Settings
from tests.integration.bench import Bench
from tests.scripted import ScriptedEngine
from tests.servers import running_worker

QUEUED = 100
SAMPLE_S = 0.1


def sleeping(seconds: float) -> Callable[[int], "asyncio.Future[None]"]:
    """A step that takes so long, whatever else the machine does."""
    return lambda _: asyncio.ensure_future(asyncio.sleep(seconds))


async def told_while_waiting(bench: Bench, jobs: Sequence[str]) -> list[tuple[str, float, float]]:
    """Every so often, until none waits: job, when it was asked for, seconds until it starts."""
    told: list[tuple[str, float, float]] = []
    while True:
        now = time.time()
        places = await bench.submissions.places(jobs)
        waiting = [
            (job, now, place.eta_seconds)
            for job, place in zip(jobs, places, strict=True)
            if place is not None
        ]
        if not waiting:
            return told
        told += waiting
        await asyncio.sleep(SAMPLE_S)


async def start_of(bench: Bench, job: str) -> float:
    async with asyncio.timeout(30):
        while (state := await bench.jobs.get(job, "default")) is None or state.started_ms is None:
            await asyncio.sleep(0.01)
    return state.started_ms / 1000


@pytest.mark.slow
@pytest.mark.parametrize(("slots", "step_s"), [(1, 0.03), (4, 0.1)])
async def test_the_eta_of_a_hundred_queued_turns_is_calibrated(
    bench: Bench, settings: Settings, slots: int, step_s: float
) -> None:
    jobs = [(await bench.submit()).job_id for _ in range(QUEUED)]
    engine = ScriptedEngine(slots=slots, step=sleeping(step_s))
    await bench.leave()
    async with running_worker(settings, engine):
        await start_of(bench, jobs[slots])  # from then on there is a pace
        told = await told_while_waiting(bench, jobs)
        started = {job: await start_of(bench, job) for job in jobs}
    ratios = [eta_s / (started[job] - now) for job, now, eta_s in told if started[job] > now]
    assert len(ratios) > QUEUED, "it was asked for over the whole run"
    assert 0.5 <= statistics.median(ratios) <= 1.5
