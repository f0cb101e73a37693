"""`POST /jobs/{job}/stop`: a reply ends at once and keeps what is written."""

import asyncio
from typing import Any

import httpx
import pytest

from shared.config import Settings
from shared.wire.publication import PieceRecord
from shared.wire.write_outcome import WriteOutcome
from tests.integration.bench import Bench
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack

PIECE = 4
REPLY = "One two three four five"


class Writer:
    """Holds a scripted engine once it has written so many tokens."""

    def __init__(self, *, until: int) -> None:
        self._until = until
        self._go_on: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.has_written = asyncio.Event()

    def __call__(self, position: int) -> "asyncio.Future[None] | None":
        if position < self._until:
            return None
        self.has_written.set()
        return self._go_on

    def go_on(self) -> None:
        if not self._go_on.done():
            self._go_on.set_result(None)


def writing(writer: Writer, **options: Any) -> ScriptedEngine:
    return ScriptedEngine(lambda _: REPLY, piece_length=PIECE, step=writer, **options)


async def submit(client: httpx.AsyncClient, prompt: str = "Hi", **fields: Any) -> dict[str, Any]:
    job: dict[str, Any] = (await client.post("/jobs", json={"prompt": prompt, **fields})).json()
    return job


async def stop(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(f"{job['links']['self']}/stop")
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


async def ended(client: httpx.AsyncClient, job: dict[str, Any]) -> dict[str, Any]:
    state: dict[str, Any] = (await client.get(job["links"]["self"], params={"wait": 20})).json()
    assert state["status"] in ("completed", "failed", "cancelled"), state
    return state


async def has_heard(engine: ScriptedEngine) -> None:
    """Wait until the last reply is to end."""
    async with asyncio.timeout(10):
        while not engine.requests[-1].enough.is_set():
            await asyncio.sleep(0.01)


async def stopped(
    stack: Stack, engine: ScriptedEngine, writer: Writer, job: dict[str, Any]
) -> dict[str, Any]:
    """A job that is stopped once the writer has written its part."""
    await writer.has_written.wait()
    await stop(stack.client, job)
    await has_heard(engine)
    writer.go_on()
    return await ended(stack.client, job)


async def test_what_is_written_of_a_stopped_reply_enters_the_conversation(
    settings: Settings,
) -> None:
    writer = Writer(until=8)
    engine = writing(writer)
    async with running_stack(settings, engine) as stack:
        job = await submit(stack.client)
        state = await stopped(stack, engine, writer, job)
        shown = (await stack.client.get(f"/conversations/{job['id']}/messages")).json()
        events = (await stack.client.get(job["links"]["events"])).text
        going_on = await stack.client.post("/", json={"prompt": "More", "id": job["id"]})
    result = state["result"]
    assert (state["status"], result["reply"], result["finish_reason"]) == (
        "completed",
        REPLY[:8],
        "stopped",
    )
    assert [message["content"] for message in shown["messages"]] == ["Hi", REPLY[:8]]
    assert shown["messages"][1]["finish_reason"] == "stopped"
    assert "event: completed" in events
    assert "event: cancelled" not in events
    assert going_on.json()["reply"] == REPLY
    assert result["usage"]["completion_tokens"] == 8


async def test_a_reply_is_stopped_while_its_client_waits(settings: Settings, bench: Bench) -> None:
    await bench.leave()
    writer = Writer(until=4)
    engine = writing(writer)
    async with running_stack(settings, engine) as stack:
        asking = asyncio.create_task(
            stack.client.post("/v1/responses", json={"model": "any", "input": "Hi"})
        )
        await writer.has_written.wait()
        (job,) = await bench.redis.zrange(bench.keys.open_jobs, 0, -1)
        assert (await stack.client.post(f"/jobs/{job}/stop")).status_code == 200
        await has_heard(engine)
        writer.go_on()
        answer = (await asking).json()
    assert answer["output"][0]["content"][0]["text"] == REPLY[:4]


async def test_a_turn_of_which_nothing_is_written_is_cancelled(settings: Settings) -> None:
    writer = Writer(until=0)
    engine = writing(writer, slots=1)
    async with running_stack(settings, engine) as stack:
        running = await submit(stack.client)
        await writer.has_written.wait()
        waiting = await submit(stack.client)
        state = await stop(stack.client, waiting)
        assert state["status"] == "cancelled"
        assert (await stopped(stack, engine, writer, running))["status"] == "cancelled"
        for job in (running, waiting):
            assert (await stack.client.get(f"/conversations/{job['id']}")).status_code == 404


async def test_an_ended_turn_is_not_changed(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: REPLY)) as stack:
        job = await submit(stack.client)
        before = await ended(stack.client, job)
        assert await stop(stack.client, job) == before
        cancelled = await submit(stack.client)
        await stack.client.delete(cancelled["links"]["self"])
        assert (await stop(stack.client, cancelled))["status"] in ("cancelled", "completed")


@pytest.mark.parametrize("job", ["0123456789abcdef0123456789abcdef", "nonsense", "%00"])
async def test_a_job_that_is_unknown_cannot_be_stopped(settings: Settings, job: str) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        assert (await stack.client.post(f"/jobs/{job}/stop")).status_code == 404


async def test_nobody_stops_the_turn_of_somebody_else(bench: Bench) -> None:
    turn = await bench.submit(owner="mine")
    assert await bench.submissions.stop(turn.job_id, "other") is WriteOutcome.GONE
    assert (await bench.claim()).job_id == turn.job_id


async def test_whoever_takes_a_stopped_turn_over_knows_it(bench: Bench) -> None:
    """Also if the first worker died before it heard of it, or was leaving."""
    turn = await bench.submit()
    claim = await bench.claim("w1")
    assert not claim.is_stopped
    await bench.claims.publish(claim, 0, PieceRecord(kind="text", text="So", token_ids=(1,)))
    assert await bench.submissions.stop(turn.job_id, "default") is WriteOutcome.OK
    assert [one.job_id for one in (await bench.claims.wishes([claim])).stopped] == [turn.job_id]
    await bench.crash(claim)
    heir = await bench.reclaim("w2")
    assert heir is not None
    assert heir.is_stopped
    await bench.claims.hand_over(heir)
    assert (await bench.claim("w1")).is_stopped


async def test_a_turn_that_waits_with_a_part_of_its_reply_is_not_cancelled(bench: Bench) -> None:
    turn = await bench.submit()
    claim = await bench.claim("w1")
    await bench.claims.publish(claim, 0, PieceRecord(kind="text", text="So", token_ids=(1,)))
    await bench.claims.hand_over(claim)
    for _ in range(2):
        assert await bench.submissions.stop(turn.job_id, "default") is WriteOutcome.OK
    assert (await bench.claim("w2")).is_stopped
