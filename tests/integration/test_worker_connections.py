"""A worker opens a bounded number of connections, and goes on when all are taken."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from cli.doctor_redis import connection_findings
from shared.store.connection import connect
from shared.store.keys import Keys
from shared.store.pool import worker_connections
from shared.wire.worker_report import WorkerReport
from tests.integration.bench import Bench
from tests.scripted import ScriptedEngine
from tests.servers import make_settings, running_valkey, running_worker

SLOTS = 64
TURNS = 200
PATIENCE_S = 30


async def connections(redis: Any) -> int:
    """How many the server has now; a pool keeps those that it has opened."""
    clients: Mapping[str, Any] = await redis.info("clients")
    return int(clients["connected_clients"])


async def test_a_worker_with_many_turns_opens_no_more_connections_than_are_its() -> None:
    with running_valkey() as server:
        settings = make_settings(server.url, PALAVER_SLOTS=SLOTS, PALAVER_PENDING_TURNS=TURNS)
        redis: Any = connect(settings, max_connections=1)
        bench = Bench(redis, Keys(settings.namespace), settings)
        await bench.serve()
        for _ in range(TURNS):
            await bench.submit()
        await bench.leave()
        before = await connections(redis)
        async with running_worker(settings, ScriptedEngine(slots=SLOTS, piece_length=1)):
            async with asyncio.timeout(PATIENCE_S):
                while await redis.zcard(bench.keys.open_jobs):
                    await asyncio.sleep(0.02)
            number = await connections(redis) - before
        await redis.aclose(close_connection_pool=True)
    assert 2 < number <= worker_connections(SLOTS) < SLOTS


@pytest.mark.parametrize(
    ("workers", "limit", "verdict"),
    [(100, 10_000, None), (1_100, 10_000, "note"), (2_000, 10_000, "bad"), (2_000, 0, None)],
)
def test_doctor_compares_the_servers_limit_with_what_all_workers_may_open(
    workers: int, limit: int, verdict: str | None
) -> None:
    reports = {f"w{n}": WorkerReport(slots=8) for n in range(workers)}
    findings = list(connection_findings(reports, limit))
    assert [finding.verdict for finding in findings] == ([verdict] if verdict else [])
    assert all(f"{workers * 8:,}" in finding.text for finding in findings)
