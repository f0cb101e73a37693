"""Workers that are killed, paused, cut off, stuck, or killed by what they are asked."""

import asyncio
import signal
from collections import Counter

from shared.errors import EX_SOFTWARE
from tests.faults.cluster import running_cluster
from tests.faults.helpers import (
    assert_completed,
    ended,
    holder,
    kinds,
    post_job,
    restarting,
    running_jobs,
)
from tests.faults.script import BREAK, HANG, POISON
from tests.sse import all_events, text_of

SLOW_S = 0.05
"""Between two pieces: a reply takes a second or two."""


async def test_the_turn_of_a_killed_worker_goes_on_elsewhere() -> None:
    async with running_cluster(lease_s=1, piece_s=SLOW_S) as cluster, cluster.client() as client:
        job = (await post_job(client, "Go on."))["job"]
        cluster.worker_of(await holder(cluster, job, at_least=8)).kill()
        state = await ended(client, job)
        events = await all_events(client, f"/jobs/{job}/events")
    assert_completed(state, "Go on.")
    assert state["attempts"] == 2
    assert Counter(event.kind for event in events)["resumed"] == 1
    assert text_of(events) == state["result"]["reply"]


async def test_what_a_killed_worker_continued_goes_on_elsewhere() -> None:
    async with running_cluster(lease_s=1, piece_s=SLOW_S) as cluster, cluster.client() as client:
        cut = await ended(client, (await post_job(client, "Go on.", max_tokens=8))["job"])
        assert cut["result"]["finish_reason"] == "length"
        body = {"id": cut["id"], "continue": True}
        job = (await client.post("/jobs", json=body)).json()["job"]
        cluster.worker_of(await holder(cluster, job, at_least=16)).kill()
        state = await ended(client, job)
        events = await all_events(client, f"/jobs/{job}/events")
        page = (await client.get(f"/conversations/{cut['id']}/messages")).json()
    assert_completed(state, "Go on.")
    assert state["attempts"] == 2
    assert text_of(events) == state["result"]["reply"]
    assert [one["content"] for one in page["messages"]] == ["Go on.", state["result"]["reply"]]


async def test_a_paused_worker_finds_its_turn_taken_and_adds_nothing() -> None:
    async with running_cluster(lease_s=1, piece_s=SLOW_S) as cluster, cluster.client() as client:
        job = (await post_job(client, "Only once."))["job"]
        zombie = cluster.worker_of(await holder(cluster, job, at_least=8))
        zombie.send(signal.SIGSTOP)
        async with asyncio.timeout(20):
            while "resumed" not in await kinds(cluster, job):
                await asyncio.sleep(0.02)
        zombie.send(signal.SIGCONT)
        state = await ended(client, job)
        # It goes on working, and what it says next counts.
        again = await ended(client, (await post_job(client, "And again?", id=state["id"]))["job"])
        events = await all_events(client, f"/jobs/{job}/events")
        page = (await client.get(f"/conversations/{state['id']}/messages")).json()
        assert zombie.is_running
    assert_completed(state, "Only once.")
    assert_completed(again, "And again?", number=2)
    assert text_of(events) == state["result"]["reply"]
    assert [message["role"] for message in page["messages"]] == ["user", "assistant"] * 2


async def test_a_worker_cut_off_from_redis_loses_its_turn_and_comes_back() -> None:
    async with running_cluster(lease_s=1, piece_s=SLOW_S) as cluster, cluster.client() as client:
        job = (await post_job(client, "Cut off."))["job"]
        lonely = cluster.worker_of(await holder(cluster, job, at_least=8))
        lonely.partition.stall()
        state = await ended(client, job)
        lonely.partition.heal()
        others = [await post_job(client, f"Afterwards {n}") for n in range(8)]
        for number, other in enumerate(others):
            assert_completed(await ended(client, other["job"]), f"Afterwards {number}")
        assert lonely.is_running
    assert_completed(state, "Cut off.")
    assert state["attempts"] == 2


async def test_a_stuck_engine_ends_its_process_and_its_neighbours_go_on_elsewhere() -> None:
    async with (
        running_cluster(lease_s=1, PALAVER_MAX_ATTEMPTS="2", piece_s=SLOW_S) as cluster,
        cluster.client() as client,
        restarting(cluster) as statuses,
    ):
        neighbours = [(await post_job(client, f"Beside {n}"))["job"] for n in range(4)]
        stuck = await post_job(client, f"{HANG} here")
        state = await ended(client, stuck["job"])
        for number, job in enumerate(neighbours):
            assert_completed(await ended(client, job), f"Beside {number}")
    assert (state["status"], state["error"]["code"]) == ("failed", "worker_lost")
    assert statuses == [EX_SOFTWARE] * 2


async def test_of_eight_in_a_batch_a_poison_prompt_takes_nobody_along() -> None:
    """It kills three processes; then it fails, and its seven neighbours have their replies."""
    async with (
        running_cluster(workers=1, lease_s=1, PALAVER_SLOTS="8", piece_s=0.03) as cluster,
        cluster.client() as client,
        restarting(cluster) as statuses,
    ):
        neighbours = [(await post_job(client, f"Beside {n}"))["job"] for n in range(7)]
        await running_jobs(cluster, 7)
        poison = await post_job(client, f"{POISON} for all")
        state = await ended(client, poison["job"])
        answers = [await ended(client, job) for job in neighbours]
        after = await ended(client, (await post_job(client, "And now?"))["job"])
    for number, answer in enumerate(answers):
        assert_completed(answer, f"Beside {number}")
        assert answer["attempts"] <= 2
    assert (state["status"], state["error"]["code"]) == ("failed", "worker_lost")
    assert state["attempts"] >= 3
    assert statuses == [-signal.SIGKILL] * 3
    assert_completed(after, "And now?")


async def test_a_worker_ends_with_its_parts_and_hands_over() -> None:
    """A bug in the heartbeat: silent, the worker would lose its turns one after the other."""
    async with running_cluster(workers=1, lease_s=1, piece_s=0.2) as cluster:
        [worker] = cluster.workers
        async with cluster.client() as client:
            job = (await post_job(client, f"{BREAK} it."))["job"]
            assert await worker.ended() == EX_SOFTWARE
            state = (await client.get(f"/jobs/{job}")).json()
        assert "the task 'heartbeat' has ended" in worker.output
        assert "a bug in the heartbeat" in worker.output
    assert (state["status"], state["attempts"]) == ("queued", 1), "nothing is charged"
