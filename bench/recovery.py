"""How long a turn stands still when its worker is lost or stopped.

    python -m bench.recovery [--kills 5 --long-kills 2 --stops 5]

Two workers with a scripted engine, one of them idle, an API and a Valkey as real processes. The
worker that holds a turn is killed (SIGKILL) or told to stop (SIGTERM, no grace) in mid-reply;
counted is the time until the turn goes on at the other one, by the time of its `resumed` event.
"""

import argparse
import asyncio
import signal
import statistics
import time
from typing import Any

from bench.tables import print_table
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.helpers import ended, holder, post_job

PIECE_S = 0.05


async def interruption(cluster: Cluster, signum: int) -> float:
    """Seconds from the signal to the turn's `resumed`."""
    async with cluster.client() as client, cluster.redis() as redis:
        job = (await post_job(client, f"{time.monotonic()} {'x' * 200}"))["job"]
        worker = cluster.worker_of(await holder(cluster, job, at_least=8))
        sent = time.time()
        worker.send(signum)
        await worker.ended()
        await ended(client, job, within_s=120)
        entries: Any = await redis.xrange(cluster.keys.events(job))
        resumed = next(int(i.partition("-")[0]) for i, f in entries if f["e"] == "resumed")
    worker.start()
    await cluster.ready()
    return resumed / 1000 - sent


async def series(lease_s: float, signum: int, count: int) -> list[float]:
    """So many interruptions under one lease."""
    async with running_cluster(lease_s=lease_s, piece_s=PIECE_S) as cluster:
        return [await interruption(cluster, signum) for _ in range(count)]


def row(name: str, seconds: list[float]) -> list[str]:
    shown = (statistics.median(seconds), min(seconds), max(seconds))
    return [name, str(len(seconds)), *(f"{value:.2f}" for value in shown)]


async def measure(options: argparse.Namespace) -> list[list[str]]:
    return [
        row("SIGKILL, lease 2 s", await series(2.0, signal.SIGKILL, options.kills)),
        row(
            "SIGKILL, lease 30 s (default)", await series(30.0, signal.SIGKILL, options.long_kills)
        ),
        row("SIGTERM, lease 30 s", await series(30.0, signal.SIGTERM, options.stops)),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--long-kills", type=int, default=2)
    parser.add_argument("--stops", type=int, default=5)
    rows = asyncio.run(measure(parser.parse_args()))
    print_table(["until the turn goes on, s", "times", "median", "least", "most"], rows)


if __name__ == "__main__":
    main()
