"""Names of what is gone, or not there yet: said so, or passed over where that is harmless."""

import asyncio
from typing import Any

import pytest

from shared.config import Settings
from tests.integration.test_jobs import Gate
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack
from worker.engine.interface import EngineError


async def respond(stack: Stack, said: str, **fields: Any) -> dict[str, Any]:
    answer = await stack.client.post("/v1/responses", json={"input": said, **fields})
    assert answer.status_code == 200, answer.text
    response: dict[str, Any] = answer.json()
    return response


async def behind(stack: Stack, response: str) -> tuple[int, str]:
    body = {"input": "?", "previous_response_id": response}
    answer = await stack.client.post("/v1/responses", json=body)
    return answer.status_code, answer.json()["error"]["code"]


async def test_a_previous_response_that_has_no_reply_says_why(settings: Settings) -> None:
    gate = Gate()

    def script(prompt: str) -> str:
        if "fail" in prompt:
            raise EngineError("as it was told")
        return "Yes."

    engine = ScriptedEngine(script, step=lambda n: gate(n) if "run" in engine.prompts[-1] else None)
    async with running_stack(settings, engine) as stack:
        running = (await respond(stack, "run", background=True))["id"]
        await gate.reached.wait()
        answers = {"running": await behind(stack, running)}
        await stack.client.post(f"/v1/responses/{running}/cancel")
        answers["cancelled"] = await behind(stack, running)
        failed = await stack.client.post("/v1/responses", json={"input": "fail"})
        answers["failed"] = await behind(stack, f"resp_{failed.json()['error']['job']}")
        gone = (await respond(stack, "gone"))["id"]
        await stack.client.delete(f"/v1/responses/{gone}")
        answers["gone"] = await behind(stack, gone)
        secret = (await respond(stack, "not stored", store=False))["id"]
        answers["not stored"] = await behind(stack, secret)
    assert answers == {
        "running": (409, "response_in_progress"),
        "cancelled": (400, "previous_response_cancelled"),
        "failed": (400, "previous_response_failed"),
        "gone": (404, "previous_response_not_found"),
        "not stored": (404, "previous_response_not_found"),
    }


async def test_an_idempotency_key_never_runs_its_prompt_a_second_time(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_JOB_TTL=0.1)
    engine = ScriptedEngine()
    keyed = {"Idempotency-Key": "a-key-of-sixteen"}
    async with running_stack(settings, engine) as stack:
        first = await stack.client.post("/", json={"prompt": "Once."}, headers=keyed)
        async with asyncio.timeout(30):
            while (await stack.client.get(f"/jobs/{first.json()['job']}")).status_code != 404:
                await asyncio.sleep(0.05)
        again = await stack.client.post("/", json={"prompt": "Once."}, headers=keyed)
        later = await stack.client.post("/jobs", json={"prompt": "Once."}, headers=keyed)
        other = await stack.client.post("/", json={"prompt": "Another."}, headers=keyed)
    assert first.status_code == 200
    for answer in (again, later):
        assert (answer.status_code, answer.json()["code"]) == (410, "idempotency_key_spent")
        assert answer.json()["job"] == first.json()["job"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(engine.prompts) == 1


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_items_are_listed_on_behind_one_that_is_gone(settings: Settings, order: str) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        made = (await stack.client.post("/v1/conversations", json={})).json()["id"]
        turns = [await respond(stack, f"turn {n}", conversation=made) for n in range(3)]
        path = f"/v1/conversations/{made}/items?order={order}&after="
        items = [f"msg_{turn['id'].removeprefix('resp_')}{role}" for turn in turns for role in "ua"]
        # The last reply is replaced: its id is gone, its prompt stays.
        await stack.ask("in its place", id=int(made.removeprefix("conv_")), replace_from=6)
        listed = await stack.client.get(path + items[5])
        wrong = await stack.client.get(path + "msg_nothing")
        middle = await stack.client.get(path + items[2])
    texts = [item["content"][0]["text"] for item in listed.json()["data"]]
    new, old = ["in its place", "You said: turn 2\n\nin its place"], items[:5]
    assert listed.status_code == 200
    if order == "asc":
        assert texts == new
        assert [item["id"] for item in middle.json()["data"]][:2] == items[3:5]
    else:
        assert [item["id"] for item in listed.json()["data"]] == old[::-1]
        assert [item["id"] for item in middle.json()["data"]] == items[:2][::-1]
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "after")


async def test_messages_before_a_number_that_is_gone(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        first = await stack.ask("one")
        for said in ("two", "three"):
            await stack.ask(said, id=first["id"])
        await stack.ask("two again", id=first["id"], replace_from=3)
        path = f"/conversations/{first['id']}/messages?before="
        pages = [(await stack.client.get(f"{path}{before}")).json() for before in (6, 1000)]
    for page in pages:
        assert [one["number"] for one in page["messages"]] == [1, 2, 3, 4]
