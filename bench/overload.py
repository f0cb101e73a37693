"""Far more prompts than can be answered, and clients that never finish their requests.

    python -m bench.overload [--seconds 60 --half-open 1000]

Two workers with a scripted engine, an API and a Valkey as real processes.

1. Ten times the capacity for a minute, in an open loop: how soon is a refused prompt refused, does
   it say when to come again, and do all that were accepted get their replies?
2. One client that asks again and again, alone and beside a thousand connections that have sent
   half a request: what do they do to its latency?
"""

import argparse
import asyncio
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx

from bench.tables import print_table
from tests.faults.audit import until_idle
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.helpers import ended

QUEUE_LIMIT = 50
PIECE_S = 0.05
SLOTS = 4
WORKERS = 2
OVER = 10
ASKED = 200
ROUNDS = 3


def percentile(values: Sequence[float], percent: int) -> float:
    return statistics.quantiles(values, n=100)[percent - 1]


async def capacity(client: httpx.AsyncClient) -> float:
    """Turns a second that the workers answer."""
    began, count = time.monotonic(), 4 * SLOTS * WORKERS
    jobs = [await client.post("/jobs", json={"prompt": f"Warm up {n}."}) for n in range(count)]
    for job in jobs:
        await ended(client, job.json()["job"])
    return count / (time.monotonic() - began)


async def overload(cluster: Cluster, seconds: float) -> list[list[str]]:
    """Prompts at ten times the capacity."""
    latencies: list[float] = []
    statuses: Counter[int] = Counter()
    accepted: list[str] = []
    impolite = 0

    async def send(client: httpx.AsyncClient, number: int) -> None:
        nonlocal impolite
        began = time.perf_counter()
        answer = await client.post("/jobs", json={"prompt": f"Number {number}."})
        statuses[answer.status_code] += 1
        if answer.status_code == 202:
            accepted.append(answer.json()["job"])
        else:
            latencies.append((time.perf_counter() - began) * 1000)
            impolite += "Retry-After" not in answer.headers

    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(base_url=cluster.url(), timeout=60, limits=limits) as client:
        rate = OVER * await capacity(client)
        began = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
                group.create_task(send(client, number))
        outcomes: Counter[str] = Counter()
        for job in accepted:
            outcomes[(await ended(client, job))["status"]] += 1
    async with cluster.redis() as redis:
        await until_idle(redis, cluster.keys, 10)
    return [
        ["prompts a second", f"{rate:.0f}"],
        ["accepted", str(len(accepted))],
        ["of these completed", str(outcomes["completed"])],
        ["refused (503)", str(statuses[503])],
        ["other answers", str(sum(statuses.values()) - statuses[503] - statuses[202])],
        ["refused without Retry-After", str(impolite)],
        ["refusal p50, ms", f"{percentile(latencies, 50):.1f}"],
        ["refusal p99, ms", f"{percentile(latencies, 99):.1f}"],
        ["refusal longest, ms", f"{max(latencies):.1f}"],
    ]


@asynccontextmanager
async def half_open(port: int, count: int) -> AsyncIterator[None]:
    """Connections that have sent half a request, and send a little more now and then."""
    pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    for _, writer in pairs:
        writer.write(b"POST / HTTP/1.1\r\nHost: localhost\r\nX-Half: ")

    async def drip() -> None:
        while True:
            await asyncio.sleep(1.0)
            for _, writer in pairs:
                writer.write(b"x")

    dripping = asyncio.create_task(drip())
    try:
        yield
    finally:
        dripping.cancel()
        for _, writer in pairs:
            writer.close()


async def asked(cluster: Cluster) -> list[float]:
    """Milliseconds of each of some prompts, one after the other."""
    latencies = []
    async with cluster.client() as client:
        for number in range(ASKED):
            began = time.perf_counter()
            answer = await client.post("/", json={"prompt": f"Number {number}."})
            answer.raise_for_status()
            latencies.append((time.perf_counter() - began) * 1000)
    return latencies


async def beside_half_open(cluster: Cluster, count: int) -> list[list[str]]:
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(ROUNDS):
        alone += await asked(cluster)
        async with half_open(cluster.ports[0], count):
            beside += await asked(cluster)
    rows: list[list[str]] = []
    for name, values in (("alone", alone), (f"beside {count} half-open requests", beside)):
        shown: list[Any] = [percentile(values, 50), percentile(values, 99)]
        rows.append([name, *(f"{value:.1f}" for value in shown)])
    ratio = percentile(beside, 99) / percentile(alone, 99)
    rows.append(["ratio", f"{percentile(beside, 50) / percentile(alone, 50):.2f}", f"{ratio:.2f}"])
    return rows


async def measure(options: argparse.Namespace) -> None:
    async with running_cluster(
        workers=WORKERS,
        lease_s=30.0,
        piece_s=PIECE_S,
        PALAVER_QUEUE_LIMIT=str(QUEUE_LIMIT),
        PALAVER_SLOTS=str(SLOTS),
    ) as cluster:
        print_table(["ten times the capacity", ""], await overload(cluster, options.seconds))
    async with running_cluster(workers=WORKERS, lease_s=30.0, piece_s=0.0) as cluster:
        rows = await beside_half_open(cluster, options.half_open)
        print_table(["a turn of a scripted engine", "p50, ms", "p99, ms"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--half-open", type=int, default=1000)
    asyncio.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
