"""Processes that are told to stop: nothing is lost, nothing is charged, the place is kept."""

import asyncio
import signal

import httpx
import pytest

from tests.faults.audit import Audit, until_idle, until_settled
from tests.faults.clients import crowd
from tests.faults.cluster import Cluster, running_cluster
from tests.faults.helpers import assert_completed, ended, holder, post_job
from tests.faults.ledger import Ledger
from tests.sse import Received, all_events, received, text_of

SLOW_S = 0.05
"""Between two pieces: a reply takes a second or two."""


async def test_a_worker_that_stops_hands_over_at_once_and_charges_nothing() -> None:
    """With the default lease: only a hand-over can bring it to another worker in time."""
    async with running_cluster(lease_s=30, piece_s=SLOW_S) as cluster, cluster.client() as client:
        job = (await post_job(client, "Hand me over."))["job"]
        worker = cluster.worker_of(await holder(cluster, job, at_least=8))
        assert await worker.stop() == 0
        state = await ended(client, job)
        events = await all_events(client, f"/jobs/{job}/events")
    assert_completed(state, "Hand me over.")
    assert state["attempts"] == 1
    assert [event.kind for event in events].count("resumed") == 1
    assert text_of(events) == state["result"]["reply"]


async def test_within_its_grace_a_worker_finishes_what_it_began() -> None:
    async with (
        running_cluster(workers=1, lease_s=30, PALAVER_GRACE="20", piece_s=SLOW_S) as cluster,
        cluster.client() as client,
    ):
        job = (await post_job(client, "Finish this."))["job"]
        await holder(cluster, job)
        waiting = (await post_job(client, "Not begun.", id=await shown(client, job)))["job"]
        [worker] = cluster.workers
        assert await worker.stop() == 0
        state = await ended(client, job)
        queued = (await client.get(f"/jobs/{waiting}")).json()
        worker.start()
        after = await ended(client, waiting)
    assert_completed(state, "Finish this.")
    assert queued["status"] == "queued"
    assert_completed(after, "Not begun.", number=2)


async def shown(client: httpx.AsyncClient, job: str) -> int:
    return int((await client.get(f"/jobs/{job}")).json()["id"])


async def test_a_handed_over_turn_is_before_those_accepted_later() -> None:
    async with (
        running_cluster(workers=1, lease_s=30, PALAVER_SLOTS="1", piece_s=SLOW_S) as cluster,
        cluster.client() as client,
    ):
        first = (await post_job(client, "I was first."))["job"]
        await holder(cluster, first, at_least=4)
        second = (await post_job(client, "I was second."))["job"]
        [worker] = cluster.workers
        assert await worker.stop() == 0
        queue = (await client.get(f"/jobs/{first}")).json()["queue"]
        worker.start()
        assert_completed(await ended(client, first), "I was first.")
        assert_completed(await ended(client, second), "I was second.")
        states = [(await client.get(f"/jobs/{job}")).json() for job in (first, second)]
    assert queue["position"] == 1
    assert states[0]["finished_at"] <= states[1]["started_at"]


async def test_an_api_that_stops_answers_who_waits_and_breaks_streams_off() -> None:
    async with (
        running_cluster(apis=2, lease_s=30, piece_s=SLOW_S) as cluster,
        cluster.client(0) as one,
        cluster.client(1) as other,
    ):
        waiting = asyncio.create_task(one.post("/", json={"prompt": "I wait."}))
        streamed = (await post_job(other, "I stream."))["job"]
        events: list[Received] = []
        broken = asyncio.create_task(read(one, f"/jobs/{streamed}/events", events))
        changes: list[Received] = []
        deaf = asyncio.create_task(read(one, "/conversations/events", changes))
        async with asyncio.timeout(20):
            while len(events) < 4 or not changes:
                await other.post("/conversations", json={})
                await asyncio.sleep(0.01)
        assert await cluster.apis[0].stop() == 0
        answer = await waiting
        for stream in (broken, deaf):
            with pytest.raises(httpx.TransportError):
                await stream
        assert answer.status_code == 202
        assert_completed(await ended(other, answer.json()["job"]), "I wait.")
        headers = {"Last-Event-ID": events[-1].id}
        rest = await all_events(other, f"/jobs/{streamed}/events", headers=headers)
        state = await ended(other, streamed)
    assert_completed(state, "I stream.")
    assert text_of(events + rest) == state["result"]["reply"]


async def read(client: httpx.AsyncClient, path: str, events: list[Received]) -> None:
    async with client.stream("GET", path) as response:
        async for event in received(response):
            events.append(event)


@pytest.mark.timeout(180)
async def test_a_rolling_restart_under_load_loses_and_repeats_nothing() -> None:
    ledger, is_over = Ledger(), asyncio.Event()
    async with running_cluster(apis=2, workers=2, lease_s=30, PALAVER_GRACE="0.2") as cluster:
        load = crowd(
            [cluster.url(0), cluster.url(1)],
            ledger,
            seed=7,
            at_least=20,
            turns=4,
            at_once=12,
            is_over=is_over.is_set,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(load)
            await restart_all(cluster)
            is_over.set()
        async with cluster.redis() as redis:
            await until_idle(redis, cluster.keys, 30)
            await until_settled(redis, cluster.keys, 2, 30)
            findings = await Audit(redis, cluster.keys, ledger).run()
            crashes = [
                await redis.hget(cluster.keys.job(str(turn.job)), "crashes")  # type: ignore[misc]  # redis-py types both clients as one
                for turn in ledger.turns
            ]
    assert findings.complaints == {}
    assert set(crashes) <= {"0", None}, "nothing was charged; None was deleted by its client"


async def restart_all(cluster: Cluster) -> None:
    """One process after the other, each once the one before is there again."""
    for process in (*cluster.workers, *cluster.apis):
        assert await process.stop(signal.SIGTERM) == 0
        process.start()
        await cluster.ready()
