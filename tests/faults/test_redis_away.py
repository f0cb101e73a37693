"""Redis is killed, restarted, hangs, or has lost its data."""

import asyncio

import httpx
import pytest

from tests.faults.cluster import Cluster, running_cluster
from tests.faults.helpers import assert_completed, ended, holder, post_job, running_jobs
from tests.sse import Received, all_events, received, text_of

SLOW_S = 0.05
"""Between two pieces: a reply takes a second or two."""
LEASE_S = 1.0


def pids(cluster: Cluster) -> list[int]:
    """Of everything that is to survive."""
    return [one.pid for one in (*cluster.apis, *cluster.workers) if one.is_running]


async def test_while_redis_is_gone_generation_goes_on_and_ends_are_kept() -> None:
    """Gone for several leases, while a reply is generated to its end."""
    async with (
        running_cluster(lease_s=LEASE_S, piece_s=SLOW_S) as cluster,
        cluster.client() as client,
    ):
        before = pids(cluster)
        job = (await post_job(client, "Go on without Redis."))["job"]
        await holder(cluster, job, at_least=8)
        cluster.valkey.kill()
        refused = await client.post("/", json={"prompt": "Nobody there?"})
        await asyncio.sleep(5 * LEASE_S)
        cluster.valkey.start()
        state = await ended(client, job)
        events = await all_events(client, f"/jobs/{job}/events")
        again = await ended(client, (await post_job(client, "Back?", id=state["id"]))["job"])
        assert pids(cluster) == before, "nobody exits"
    assert refused.status_code == 503
    assert "Retry-After" in refused.headers
    assert_completed(state, "Go on without Redis.")
    assert_completed(again, "Back?", number=2)
    assert state["attempts"] == 1, "nothing is reclaimed in panic"
    assert text_of(events) == state["result"]["reply"]


async def test_that_redis_is_away_is_told_once_by_each_process() -> None:
    async with (
        running_cluster(lease_s=LEASE_S, piece_s=SLOW_S) as cluster,
        cluster.client() as client,
    ):
        job = (await post_job(client, "Quiet, please."))["job"]
        await holder(cluster, job, at_least=4)
        cluster.valkey.kill()
        await asyncio.sleep(5)
        cluster.valkey.start()
        await ended(client, job)
        outputs: list[str] = []
        async with asyncio.timeout(10):
            while not (outputs and all("well again" in output for output in outputs)):
                await asyncio.sleep(0.05)
                outputs = [one.output for one in (*cluster.apis, *cluster.workers)]
    for output in outputs:
        lines = [line for line in output.splitlines() if '"warning"' in line]
        # Refused, and lost in the middle of a command; and that it is back.
        assert 2 <= len(lines) <= 4, "\n".join(lines)


async def test_a_hanging_redis_is_waited_for() -> None:
    async with (
        running_cluster(lease_s=LEASE_S, piece_s=SLOW_S) as cluster,
        cluster.client() as client,
    ):
        before = pids(cluster)
        job = (await post_job(client, "Be patient."))["job"]
        await holder(cluster, job, at_least=8)
        cluster.valkey.hang()
        await asyncio.sleep(2 * LEASE_S)
        cluster.valkey.go_on()
        state = await ended(client, job)
        assert pids(cluster) == before
    assert_completed(state, "Be patient.")


async def test_a_stream_survives_a_restart_of_redis() -> None:
    async with (
        running_cluster(lease_s=LEASE_S, piece_s=SLOW_S) as cluster,
        cluster.client() as client,
    ):
        job = (await post_job(client, "Stream on."))["job"]
        events: list[Received] = []
        reading = asyncio.create_task(read_through(client, job, events))
        await holder(cluster, job, at_least=8)
        cluster.valkey.kill()
        await asyncio.sleep(0.5)
        cluster.valkey.start()
        await reading
        state = await ended(client, job)
    assert_completed(state, "Stream on.")
    assert text_of(events) == state["result"]["reply"]


async def read_through(client: httpx.AsyncClient, job: str, events: list[Received]) -> None:
    """As a client does: resume until the end has come."""
    async with asyncio.timeout(30):
        while not (events and events[-1].kind == "completed"):
            headers = {"Last-Event-ID": events[-1].id} if events else {}
            async with client.stream("GET", f"/jobs/{job}/events", headers=headers) as response:
                if response.status_code == 200:
                    try:
                        async for event in received(response):
                            events.append(event)
                    except httpx.TransportError:
                        pass
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("loss", ["flushed", "restarted without an append-only file"])
async def test_lost_data_end_in_clear_errors_and_not_in_waiting(loss: str) -> None:
    keeps = "yes" if loss == "flushed" else "no"
    async with (
        running_cluster(
            lease_s=LEASE_S, valkey_options=("--appendonly", keeps), piece_s=SLOW_S
        ) as cluster,
        cluster.client() as client,
        cluster.client() as other,
    ):
        before = pids(cluster)
        waiting = asyncio.create_task(client.post("/", json={"prompt": "x" * 500}))
        await running_jobs(cluster, 1)
        async with cluster.redis() as redis:
            [job] = await redis.zrange(cluster.keys.open_jobs, 0, -1)
            stream = asyncio.create_task(read_to_the_end(other, job))
            await asyncio.sleep(0.2)
            if loss == "flushed":
                await redis.flushall()
        if loss != "flushed":
            cluster.valkey.kill()
            cluster.valkey.start()
        async with asyncio.timeout(30):  # and not until the sync timeout
            answer = await waiting
            with pytest.raises(httpx.TransportError):
                await stream
        assert answer.status_code == 404
        assert (await other.get(f"/jobs/{job}")).status_code == 404
        assert (await other.get(f"/jobs/{job}/events")).status_code == 404
        await cluster.ready()
        state = await ended(other, (await post_job(other, "Start anew."))["job"])
        assert pids(cluster) == before
    assert_completed(state, "Start anew.")


async def read_to_the_end(client: httpx.AsyncClient, job: str) -> None:
    async with client.stream("GET", f"/jobs/{job}/events") as response:
        async for _ in received(response):
            pass


async def test_near_maxmemory_new_prompts_are_refused_and_old_ones_still_complete() -> None:
    async with (
        running_cluster(lease_s=LEASE_S, piece_s=SLOW_S) as cluster,
        cluster.client() as client,
    ):
        job = (await post_job(client, "Before it got tight."))["job"]
        await holder(cluster, job, at_least=4)
        async with cluster.redis() as redis:
            used = (await redis.info("memory"))["used_memory"]
            await redis.config_set("maxmemory", used + (256 << 10))
            async with asyncio.timeout(10):
                while (refused := await client.post("/", json={"prompt": "?"})).status_code == 200:
                    await asyncio.sleep(0.1)
            state = await ended(client, job)
            await redis.config_set("maxmemory", 0)
            async with asyncio.timeout(10):
                while (answer := await client.post("/", json={"prompt": "!"})).status_code != 200:
                    await asyncio.sleep(0.1)
    assert (refused.status_code, refused.json()["code"]) == (503, "memory_short")
    assert "Retry-After" in refused.headers
    assert_completed(state, "Before it got tight.")
    assert state["attempts"] == 1
    assert answer.status_code == 200
