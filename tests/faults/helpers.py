"""What the tests of single faults share."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from tests.faults.cluster import Cluster
from tests.faults.script import reply_to

WITHIN_S = 30.0


async def post_job(client: httpx.AsyncClient, prompt: str, **fields: Any) -> dict[str, Any]:
    """A prompt that must be accepted; its job."""
    answer = await client.post("/jobs", json={"prompt": prompt, **fields})
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    return job


async def ended(client: httpx.AsyncClient, job: str, within_s: float = WITHIN_S) -> dict[str, Any]:
    """A job once it has ended."""
    async with asyncio.timeout(within_s):
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await client.get(f"/jobs/{job}?wait=5")
                if answer.status_code != 200:
                    await asyncio.sleep(0.05)
                elif answer.json()["status"] in ("completed", "failed", "cancelled"):
                    state: dict[str, Any] = answer.json()
                    return state


async def holder(cluster: Cluster, job: str, *, at_least: int = 1) -> str:
    """The worker that holds a job, once so many tokens of its reply were emitted."""
    async with asyncio.timeout(WITHIN_S), cluster.redis() as redis:
        while True:
            fields: Any = redis.hmget(cluster.keys.job(job), ["worker", "progress"])
            worker, progress = await fields
            if worker is not None and int(progress or 0) >= at_least:
                return str(worker)
            await asyncio.sleep(0.005)


async def running_jobs(cluster: Cluster, count: int) -> None:
    """Return when so many turns are held by workers."""
    async with asyncio.timeout(WITHIN_S), cluster.redis() as redis:
        while True:
            if await redis.zcard(cluster.keys.leases) >= count:
                return
            await asyncio.sleep(0.005)


async def kinds(cluster: Cluster, job: str) -> list[str]:
    """The types of a job's events."""
    async with cluster.redis() as redis:
        entries = await redis.xrange(cluster.keys.events(job))
    return [fields["e"] for _, fields in entries]


def assert_completed(job: dict[str, Any], prompt: str, number: int = 1) -> None:
    """It has the reply that the script gives."""
    assert job["status"] == "completed", job
    assert job["result"]["reply"] == reply_to(number, prompt)


@asynccontextmanager
async def restarting(cluster: Cluster) -> AsyncIterator[list[int]]:
    """Workers that end are started again, as by their supervisors; yields their exit statuses."""
    statuses: list[int] = []

    async def watch() -> None:
        while True:
            for worker in cluster.workers:
                if not worker.is_running:
                    statuses.append(await worker.ended())
                    worker.start()
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        yield statuses
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
