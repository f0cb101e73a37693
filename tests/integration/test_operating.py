"""Operating turns over HTTP: what an operator sees and does while workers run them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.config import Settings
from shared.wire.limits import NO_LIMITS
from tests.integration.test_access import Guarded, running_guarded
from tests.integration.test_jobs import Gate
from tests.scripted import ScriptedEngine, last_prompt
from tests.servers import Valkey, running_stack
from worker.engine.interface import EngineError

SECRET = "xyzzy-plugh"


@dataclass(frozen=True)
class Operated:
    """A server with a user and an operator.

    Args:
        held: set once the worker has written the beginning of a reply that it is told to hold. It
            holds one, once, until that is cancelled.
    """

    guarded: Guarded
    held: asyncio.Event
    user: dict[str, str]
    operator: dict[str, str]

    @property
    def client(self) -> httpx.AsyncClient:
        return self.guarded.stack.client

    async def submit(self, prompt: str, **fields: Any) -> httpx.Response:
        body = {"prompt": prompt, **fields}
        answer = await self.client.post("/jobs", json=body, headers=self.user)
        assert answer.status_code == 202, answer.text
        return answer

    async def get(self, path: str) -> httpx.Response:
        return await self.client.get(path, headers=self.operator)

    async def do(self, path: str) -> httpx.Response:
        return await self.client.post(path, headers=self.operator)

    async def job(self, job_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/jobs/{job_id}?wait=30", headers=self.user)
        state: dict[str, Any] = answer.json()
        return state


def fails_or_echoes(prompt: str) -> str:
    if "fail" in last_prompt(prompt):
        raise EngineError(SECRET)
    return SECRET


@asynccontextmanager
async def running_operated(valkey: Valkey, folder: Path) -> AsyncIterator[Operated]:
    gate = Gate()

    def is_to_hold(prompt: str) -> bool:
        return "hold" in prompt and not gate.reached.is_set()

    engine = ScriptedEngine(
        fails_or_echoes,
        slots=1,
        piece_length=1,
        step=lambda at: gate(at) if at and is_to_hold(engine.prompts[-1]) else None,
    )
    async with running_guarded(valkey, folder, engine) as guarded:
        secret = guarded.keys.create("olga", NO_LIMITS, "operator")
        operator = {"Authorization": f"Bearer {secret}"}
        yield Operated(guarded, gate.reached, guarded.headers("ann"), operator)


async def test_no_answer_has_anything_that_anybody_wrote(valkey: Valkey, tmp_path: Path) -> None:
    async with running_operated(valkey, tmp_path) as operated:
        failing = (await operated.submit(f"{SECRET} fail", context=SECRET)).json()
        await operated.job(failing["job"])
        running = await operated.submit(f"{SECRET} hold", context=SECRET)
        await operated.held.wait()
        conversation = running.json()["id"]
        waiting = (await operated.submit(SECRET, id=conversation)).json()
        title = {"title": SECRET, "metadata": {SECRET: SECRET}}
        path = f"/conversations/{conversation}"
        await operated.client.patch(path, json=title, headers=operated.user)
        overview = await operated.get("/ops/turns")
        turns = {state: listed["turns"][0] for state, listed in overview.json().items()}
        answers = [overview, await operated.get("/ops/data"), await operated.get("/metrics")]
        for sought in (conversation, failing["job"], running.headers["x-request-id"]):
            answers.append(await operated.get(f"/ops/lookup?id={sought}"))
            assert answers[-1].json()["turns"]
        for action in ("cancel", "requeue"):
            for job in (waiting, running.json()):
                answers.append(await operated.do(f"/ops/turns/{job['job']}/{action}"))
    assert [answer.text for answer in answers if SECRET in answer.text] == []
    assert [turn["key"] for turn in turns.values()] == ["ann"] * 3
    assert turns["running"]["request"] == running.headers["x-request-id"]
    assert turns["failed"]["error"] == "generation_failed"
    assert turns["waiting"]["wait"] == {
        "reason": "earlier_turn",
        "behind": turns["running"]["job"],
        "home": None,
        "queue": {"position": 1, "eta_seconds": 0.0},
    }


async def test_a_requeued_turn_is_run_again_behind_its_text(valkey: Valkey, tmp_path: Path) -> None:
    async with running_operated(valkey, tmp_path) as operated:
        job = (await operated.submit("hold")).json()["job"]
        await operated.held.wait()
        answer = await operated.do(f"/ops/turns/{job}/requeue")
        assert answer.status_code == 200, answer.text
        assert answer.json()["worker"] is None or answer.json()["status"] == "in_progress"
        state = await operated.job(job)
        assert (state["status"], state["attempts"]) == ("completed", 1)
        assert state["result"]["reply"] == SECRET
        events = await operated.client.get(f"/jobs/{job}/events", headers=operated.user)
        assert events.text.count("event: resumed") == 1
        refused = await operated.do(f"/ops/turns/{job}/requeue")
        assert (refused.status_code, refused.json()["code"]) == (409, "turn_ended")


async def test_an_operator_cancels_a_users_turn(valkey: Valkey, tmp_path: Path) -> None:
    async with running_operated(valkey, tmp_path) as operated:
        job = (await operated.submit("hold")).json()["job"]
        await operated.held.wait()
        for _ in range(2):
            answer = await operated.do(f"/ops/turns/{job}/cancel")
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")
        assert (await operated.job(job))["status"] == "cancelled"


async def test_why_a_failed_turn_is_not_run_again(valkey: Valkey, tmp_path: Path) -> None:
    async with running_operated(valkey, tmp_path) as operated:
        job = (await operated.submit("fail")).json()["job"]
        await operated.job(job)
        refused = await operated.do(f"/ops/turns/{job}/requeue")
        assert (refused.status_code, refused.json()["code"]) == (409, "turn_ended")
        assert "has failed" in refused.json()["detail"]
        for action in ("cancel", "requeue"):
            for unknown in ("0" * 32, "x"):
                answer = await operated.do(f"/ops/turns/{unknown}/{action}")
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_worker_is_drained(valkey: Valkey, tmp_path: Path) -> None:
    async with running_operated(valkey, tmp_path) as operated:
        job = (await operated.submit("hold")).json()["job"]
        await operated.held.wait()
        name = (await operated.get(f"/ops/lookup?id={job}")).json()["turns"][0]["worker"]
        answer = await operated.do(f"/ops/workers/{name}/drain")
        assert answer.json() == {"worker": name, "draining": True}
        assert (await operated.do("/ops/workers/none/drain")).status_code == 404
        await operated.do(f"/ops/turns/{job}/cancel")


@pytest.mark.parametrize("sought", ["", " ", "two words", "x" * 65, "é"])
async def test_what_is_no_id_is_refused_by_name(settings: Settings, sought: str) -> None:
    async with running_stack(settings) as stack:
        answer = await stack.client.get("/ops/lookup", params={"id": sought})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "id")
        for unknown in ("4242", "conv_4242", "0" * 32, "resp_" + "0" * 32, "req_none"):
            answer = await stack.client.get("/ops/lookup", params={"id": unknown})
            assert answer.json() == {"turns": []}


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_other_sites_operate_nothing(settings: Settings, headers: dict[str, str]) -> None:
    async with running_stack(settings) as stack:
        for path in (f"/ops/turns/{'0' * 32}/cancel", "/ops/workers/none/drain"):
            answer = await stack.client.post(path, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
