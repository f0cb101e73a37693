"""Workers without turns: their own parts at their own intervals, all in one process.

    python -m bench.redis_cost.idle --workers 1000

Prints what Redis does for them as JSON.
"""

import argparse
import asyncio
import inspect
import os
import random
from dataclasses import asdict, dataclass
from typing import Any, Final

import orjson
import uvloop

from bench.redis_cost.timing import cpu_s
from bench.waiters import raise_file_limit
from shared.config import Settings
from shared.process.tasks import Background
from shared.store.claims import Claims
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.old_queue import OldQueue
from shared.store.workers import Workers
from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_valkey
from worker.bells import BellReader
from worker.engine.dropped_sessions import DroppedSessions
from worker.heartbeat import Heartbeat
from worker.homes import Homes
from worker.notices import Notices
from worker.queue_keeper import QueueKeeper
from worker.registration import Registration
from worker.report import Reporter
from worker.running_turn import RunningTurns
from worker.turn_metrics import TurnMetrics

SEED: Final = 16
STARTING_S: Final = 10.0
SETTLING_S: Final = 5.0
MEASURED_S: Final = 12.0
"""Longer than a heartbeat."""
ROUNDS: Final = 3
"""The cheapest counts: other processes disturb the rest."""
PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle:
    """So many workers without turns.

    Args:
        share: of a core that Redis uses for them.
        calls: commands a second, those inside scripts included.
    """

    workers: int
    share: float
    calls: float


class IdleWorker:
    """What a worker does between turns."""

    def __init__(self, settings: Settings, engine: ScriptedEngine, number: int) -> None:
        keys, worker_id = Keys(settings.namespace), f"idle:{number}"
        running, metrics = RunningTurns(), TurnMetrics()
        redis = connect(settings)
        claims = Claims(redis, keys, settings, pool=engine.model.name)
        reporter = Reporter(
            engine, running, metrics, context_length=0, window=engine.window,
            capabilities=("chat",), patience_ms=10_000,
        )  # fmt: skip
        beat_s = settings.heartbeat
        old_queue = OldQueue(redis, keys, engine.model.name)
        self._bells = BellReader(settings, redis, keys, worker_id)
        self._keeper = QueueKeeper(
            redis, claims, old_queue, metrics, worker_id, lease_s=settings.lease, beat_s=beat_s
        )
        registration = Registration(
            Workers(redis, keys), claims.clock, reporter, Homes(DroppedSessions()), worker_id,
            interval_s=beat_s, on_drain=lambda: None, on_keeper=self._keeper.heard,
        )  # fmt: skip
        self._heartbeat = Heartbeat(claims, engine, running, registration, interval_s=beat_s)
        self._notices = Notices(
            redis, keys.notices(worker_id), claims, running,
            on_followed=lambda _: None, on_held=self._keeper.wake, on_drain=lambda: None,
        )  # fmt: skip

    async def run(self, after_s: float) -> None:
        """Live until the process ends."""
        await asyncio.sleep(after_s)
        background = Background()
        background.start("queue", self._keeper.run)
        background.start("heartbeat", self._heartbeat.run)
        background.start("notices", self._notices.run)
        while True:
            await self._bells.next()


async def measure(number: int) -> Idle:
    dice = random.Random(SEED)
    with running_valkey() as server:
        settings, engine = make_settings(server.url), ScriptedEngine()
        workers = [IdleWorker(settings, engine, which) for which in range(number)]
        tasks = [asyncio.create_task(worker.run(dice.uniform(0, STARTING_S))) for worker in workers]
        async with connect(settings) as redis:
            await until_all_wait(redis, number)
            await asyncio.sleep(SETTLING_S)
            assert not any(task.done() for task in tasks)
            share, calls = min([await used(redis) for _ in range(ROUNDS)])
    return Idle(workers=number, share=share, calls=calls)


async def until_all_wait(redis: Any, number: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while (await redis.info("clients"))["blocked_clients"] < number:
            await asyncio.sleep(0.1)


async def used(redis: Any) -> tuple[float, float]:
    """Share of a core, and commands a second."""
    loop = asyncio.get_running_loop()
    cpu, began = await cpu_s(redis), loop.time()
    commands = (await redis.info("stats"))["total_commands_processed"]
    await asyncio.sleep(MEASURED_S)
    commands = (await redis.info("stats"))["total_commands_processed"] - commands
    seconds = loop.time() - began
    return (await cpu_s(redis) - cpu) / seconds, commands / seconds


async def _print(number: int) -> None:
    print(orjson.dumps(asdict(await measure(number))).decode(), flush=True)
    os._exit(0)  # ending so many tasks in good order takes longer than all before


def main() -> None:
    parser = argparse.ArgumentParser(description=inspect.cleandoc(__doc__ or ""))
    parser.add_argument("--workers", type=int, default=1_000)
    raise_file_limit()
    uvloop.run(_print(parser.parse_args().workers))


if __name__ == "__main__":
    main()
