"""Jobs: answered later, polled, waited for, cancelled, repeated safely."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from shared.config import Settings
from shared.store.connection import connect
from shared.store.keys import Keys
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_api, running_stack

ASYNC = {"Prefer": "respond-async"}


class Gate:
    """Holds a scripted engine until it is opened."""

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.reached = asyncio.Event()

    def __call__(self, _position: int) -> "asyncio.Future[None]":
        self.reached.set()
        return self._future

    def open(self) -> None:
        self._future.set_result(None)


async def submit(client: httpx.AsyncClient, prompt: str, **fields: Any) -> dict[str, Any]:
    response = await client.post("/jobs", json={"prompt": prompt, **fields})
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    assert response.headers["Location"] == f"/jobs/{job['job']}"
    assert int(response.headers["Retry-After"]) >= 1
    return job


async def ended(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    state = (await stack.client.get(job["links"]["self"], params={"wait": 30})).json()
    assert state["status"] in ("completed", "failed", "cancelled"), state
    result: dict[str, Any] = state
    return result


@pytest.mark.parametrize(
    ("path", "headers", "status", "applied"),
    [
        ("/jobs", {}, 202, None),
        ("/jobs", {"Accept": "text/event-stream"}, 202, None),
        ("/jobs", {"Prefer": "wait=5"}, 200, "wait=5"),
        ("/", {"Prefer": "respond-async"}, 202, "respond-async"),
        ("/", {"Prefer": "Respond-Async", "Accept": "text/event-stream"}, 202, "respond-async"),
        ("/", {"Prefer": "respond-async, wait=5"}, 200, "respond-async, wait=5"),
        ("/", {"Prefer": "wait=5"}, 200, "wait=5"),
        ("/", {"Prefer": "wait=100000"}, 200, "wait=120"),
        ("/", {"Prefer": "wait=soon, handling=lenient"}, 200, None),
        ("/", {}, 200, None),
    ],
)
async def test_how_the_answer_comes_back(
    settings: Settings, path: str, headers: dict[str, str], status: int, applied: str | None
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        response = await stack.client.post(path, json={"prompt": "Hi"}, headers=headers)
    assert response.status_code == status
    assert response.headers.get("Preference-Applied") == applied
    assert ("reply" in response.json()) == (status == 200)


async def test_a_job_is_seen_through_all_its_states(settings: Settings) -> None:
    gate = Gate()
    async with running_stack(settings, ScriptedEngine(slots=1, step=gate)) as stack:
        first = await submit(stack.client, "one")
        await gate.reached.wait()
        second = await submit(stack.client, "two")
        third = await submit(stack.client, "three")
        running = await stack.client.get(first["links"]["self"])
        waiting = (await stack.client.get(third["links"]["self"])).json()
        gate.open()
        done = await ended(stack, third)
    assert running.headers["Retry-After"]
    assert running.json()["status"] == "in_progress"
    assert "queue" not in running.json()
    assert waiting["status"] == "queued"
    assert waiting["attempts"] == 0
    assert waiting["queue"]["position"] == 2
    assert waiting["queue"]["eta_seconds"] >= 0
    assert second["queue"]["position"] == 1
    assert done["result"]["reply"] == "You said: three"
    assert done["created_at"] <= done["started_at"] <= done["finished_at"]
    assert "queue" not in done


async def test_a_job_says_what_is_asked_until_it_has_ended(settings: Settings) -> None:
    gate = Gate()
    async with running_stack(settings, ScriptedEngine(slots=1, step=gate)) as stack:
        first = await submit(stack.client, "one")
        edit = await submit(stack.client, "two", id=first["id"], replace_from=1)
        running = (await stack.client.get(first["links"]["self"])).json()
        waiting = (await stack.client.get(edit["links"]["self"])).json()
        gate.open()
        done = await ended(stack, edit)
    assert running["prompt"] == "one"
    assert "replace_from" not in running
    assert (waiting["prompt"], waiting["replace_from"]) == ("two", 1)
    assert not {"prompt", "replace_from"} & set(done)


async def test_waiting_for_a_job_that_another_api_accepted(settings: Settings) -> None:
    gate = Gate()
    async with running_stack(settings, ScriptedEngine(step=gate)) as stack:
        job = await submit(stack.client, "Hello")
        async with running_api(settings) as other:
            waiting = asyncio.create_task(
                other.get(job["links"]["self"], headers={"Prefer": "wait=30"})
            )
            await gate.reached.wait()
            gate.open()
            state = (await waiting).json()
    assert state["status"] == "completed"
    assert state["result"]["reply"] == "You said: Hello"


@pytest.mark.parametrize("wait", ["61", "-1", "1.5", "soon", "²"])
async def test_a_wrong_wait_is_named(settings: Settings, wait: str) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        job = await submit(stack.client, "Hello")
        response = await stack.client.get(job["links"]["self"], params={"wait": wait})
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "wait"


async def test_a_cancelled_turn_that_waits_never_runs(settings: Settings) -> None:
    gate = Gate()
    engine = ScriptedEngine(slots=1, step=gate)
    async with running_stack(settings, engine) as stack:
        await submit(stack.client, "first")
        await gate.reached.wait()
        job = await submit(stack.client, "unwanted")
        after = await submit(stack.client, "after", id=job["id"])
        cancelled = await stack.client.delete(job["links"]["self"])
        again = await stack.client.delete(job["links"]["self"])
        gate.open()
        done = await ended(stack, after)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert again.json() == cancelled.json()
    assert not any("unwanted" in prompt for prompt in engine.prompts)
    assert done["result"]["window"]["turns_kept"] == 1


async def test_a_cancelled_turn_that_runs_stops_and_frees_its_place(settings: Settings) -> None:
    gate = Gate()
    wanted: Callable[[int], Any] = lambda n: None if len(engine.prompts) > 1 else gate(n)  # noqa: E731
    engine = ScriptedEngine(slots=1, step=wanted)
    async with running_stack(settings, engine) as stack:
        waiting = asyncio.create_task(stack.client.post("/", json={"prompt": "unwanted"}))
        await gate.reached.wait()
        job = await running_job(stack)
        await stack.client.delete(f"/jobs/{job}")
        refused = await waiting
        left = await stack.client.get(f"/conversations/{refused.json()['id']}")
        answer = await stack.ask("next")
    assert (refused.status_code, refused.json()["code"]) == (409, "job_cancelled")
    assert left.status_code == 404
    assert refused.headers["x-should-retry"] == "false"
    assert engine.running == 0
    assert answer["window"]["turns_kept"] == 1


async def running_job(stack: Stack) -> str:
    """The one job that has not ended."""
    redis: Any = connect(stack.settings)
    (job,) = await redis.zrange(Keys(stack.settings.namespace).open_jobs, 0, -1)
    await redis.aclose(close_connection_pool=True)
    return str(job)


async def test_cancelling_a_finished_job_changes_nothing(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        answer = await stack.ask("Hello")
        before = (await stack.client.get(f"/jobs/{answer['job']}")).json()
        response = await stack.client.delete(f"/jobs/{answer['job']}")
        unknown = await stack.client.delete(f"/jobs/{'0' * 32}")
    assert (response.status_code, response.json()) == (200, before)
    assert before["status"] == "completed"
    assert unknown.status_code == 404


async def test_an_idempotency_key_makes_one_job_of_fifty(settings: Settings) -> None:
    engine = ScriptedEngine()
    headers = {"Idempotency-Key": "a key of my own, 1"}
    async with running_stack(settings, engine) as stack:
        responses = await asyncio.gather(
            *(stack.client.post("/", json={"prompt": "Once"}, headers=headers) for _ in range(50))
        )
        later = await stack.client.post("/jobs", json={"prompt": "Once"}, headers=headers)
        other_body = await stack.client.post("/", json={"prompt": "Twice"}, headers=headers)
        other_key = await stack.client.post(
            "/", json={"prompt": "Once"}, headers={"Idempotency-Key": "another key here"}
        )
    assert {response.status_code for response in responses} == {200}
    assert len({response.text for response in responses}) == 1
    assert len(engine.prompts) == 2
    assert later.json()["job"] == responses[0].json()["job"]
    assert (other_body.status_code, other_body.json()["code"]) == (422, "idempotency_key_reused")
    assert other_key.json()["job"] != responses[0].json()["job"]


@pytest.mark.parametrize("key", ["short", "x" * 256])
async def test_an_idempotency_key_has_a_length(settings: Settings, key: str) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        response = await stack.client.post(
            "/", json={"prompt": "x"}, headers={"Idempotency-Key": key}
        )
    assert response.status_code == 422
    assert response.json()["errors"][0]["field"] == "Idempotency-Key"


async def test_a_refused_prompt_does_not_use_its_key_up(valkey: Valkey) -> None:
    settings = make_settings(valkey.url)
    headers = {"Idempotency-Key": "a key of my own, 2"}
    async with running_api(settings) as client:
        refused = await client.post("/jobs", json={"prompt": "x"}, headers=headers)
    async with running_stack(settings, ScriptedEngine()) as stack:
        accepted = await stack.client.post("/", json={"prompt": "x"}, headers=headers)
    assert (refused.status_code, accepted.status_code) == (503, 200)


async def test_a_full_queue_says_when_to_come_back(valkey: Valkey) -> None:
    gate = Gate()
    settings = make_settings(valkey.url, PALAVER_QUEUE_LIMIT=3)
    async with running_stack(settings, ScriptedEngine(step=gate)) as stack:
        jobs = [await submit(stack.client, f"{n}") for n in range(3)]
        refused = await stack.client.post("/", json={"prompt": "one too many"})
        gate.open()
        await ended(stack, jobs[-1])
    assert (refused.status_code, refused.json()["code"]) == (503, "queue_full")
    assert int(refused.headers["Retry-After"]) >= 1
