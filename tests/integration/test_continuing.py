"""`{"id": …, "continue": true}`: a reply that was cut or stopped is gone on with."""

import asyncio
from typing import Any

import httpx
import pytest

from shared.config import Settings
from tests.integration.bench import Bench
from tests.integration.test_stopping import REPLY, Writer, ended, stop, submit, writing
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack
from tests.sse import all_events, text_of


async def cut(client: httpx.AsyncClient, length: int = 8, **fields: Any) -> dict[str, Any]:
    """A reply that was cut at so many characters."""
    answer = await client.post("/", json={"prompt": "Hi", "max_tokens": length, **fields})
    reply: dict[str, Any] = answer.json()
    assert reply["finish_reason"] == "length"
    return reply


async def go_on(client: httpx.AsyncClient, reply: dict[str, Any], **fields: Any) -> Any:
    return await client.post("/", json={"id": reply["id"], "continue": True, **fields})


async def messages(client: httpx.AsyncClient, conversation: int) -> list[dict[str, Any]]:
    page: dict[str, Any] = (await client.get(f"/conversations/{conversation}/messages")).json()
    shown: list[dict[str, Any]] = page["messages"]
    return shown


async def test_a_cut_reply_grows_in_place(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: REPLY, piece_length=4)
    async with running_stack(settings, engine) as stack:
        first = await cut(stack.client)
        before = await messages(stack.client, first["id"])
        answer = await go_on(stack.client, first)
        after = await messages(stack.client, first["id"])
        conversation = (await stack.client.get(f"/conversations/{first['id']}")).json()
        job = answer.json()["job"]
        kept = (await stack.client.get(f"/jobs/{job}")).json()
        events = await all_events(stack.client, f"/jobs/{job}/events")
    reply = answer.json()
    assert kept["result"] == reply
    assert (reply["reply"], reply["finish_reason"], reply["prompt"]) == (REPLY, "stop", "Hi")
    assert reply["usage"]["completion_tokens"] == len(REPLY)
    assert reply["usage"]["prompt_tokens"] == first["usage"]["prompt_tokens"]
    assert reply["numberOfTokens"] == reply["window"]["used"] == reply["usage"]["total_tokens"]
    assert [one["number"] for one in after] == [1, 2]
    assert after[0] == before[0]
    assert after[1]["content"] == REPLY
    assert (after[1]["finish_reason"], after[1]["tokens"]) == ("stop", len(REPLY))
    assert after[1]["job"] == reply["job"] != before[1]["job"]
    assert (conversation["turns"], conversation["window"]) == (1, reply["window"])
    first_piece = next(event.data["text"] for event in events if event.kind == "token")
    assert first_piece.startswith(REPLY[:8])
    assert text_of(events) == REPLY
    assert engine.prompts[0] == engine.prompts[1]
    assert len(engine.requests[1].generated) == 8


async def test_the_next_prompt_sees_the_whole_reply(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: REPLY)
    async with running_stack(settings, engine) as stack:
        first = await cut(stack.client)
        await go_on(stack.client, first, max_tokens=4)
        await go_on(stack.client, first)
        await stack.client.post("/", json={"id": first["id"], "prompt": "More"})
        shown = await messages(stack.client, first["id"])
    assert engine.prompts[-1].endswith(
        f"<user>Hi<end><assistant>{REPLY}<end><user>More<end><assistant>"
    )
    assert [one["content"] for one in shown] == ["Hi", REPLY, "More", REPLY]


async def test_a_stopped_reply_is_continued(settings: Settings) -> None:
    writer = Writer(until=8)
    engine = writing(writer)
    async with running_stack(settings, engine) as stack:
        job = await submit(stack.client)
        await writer.has_written.wait()
        await stop(stack.client, job)
        assert (await ended(stack.client, job))["result"]["finish_reason"] == "stopped"
        writer.go_on()
        reply = (await go_on(stack.client, job)).json()
    assert (reply["reply"], reply["finish_reason"]) == (REPLY, "stop")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"continue": True}, "continue"),
        ({"id": 1, "continue": True, "prompt": "Hi"}, "prompt"),
        ({"id": 1, "continue": True, "replace_from": 1}, "replace_from"),
        ({"id": 1, "continue": False}, "continue"),
        ({"id": 1, "continue": 1}, "continue"),
        ({"id": 1, "continue": None}, "continue"),
        ({"id": 1, "continues": True, "prompt": "Hi"}, "continues"),
        ({"id": 1}, "prompt"),
        ({}, "prompt"),
    ],
)
async def test_what_does_not_go_with_continue_is_refused_by_name(
    settings: Settings, body: dict[str, Any], field: str
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        for path in ("/", "/jobs"):
            answer = await stack.client.post(path, json=body)
            assert answer.status_code == 422, answer.text
            assert [error["field"] for error in answer.json()["errors"]] == [field]


async def test_where_nothing_was_cut_there_is_nothing_to_continue(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        whole = (await stack.client.post("/", json={"prompt": "Hi"})).json()
        empty = (await stack.client.post("/conversations", json={})).json()
        for conversation in (whole, empty):
            answer = await go_on(stack.client, conversation)
            assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_continue")
            assert "job" not in answer.json()
        unknown = await go_on(stack.client, {"id": 1})
        shown = await messages(stack.client, whole["id"])
    assert unknown.status_code == 404
    assert [one["content"] for one in shown] == ["Hi", "You said: Hi"]


async def test_behind_other_turns_it_is_decided_when_the_turn_starts(settings: Settings) -> None:
    writer = Writer(until=4)
    engine = writing(writer)
    async with running_stack(settings, engine) as stack:
        first = await submit(stack.client)
        going_on = await submit(stack.client, id=first["id"], max_tokens=4)
        await writer.has_written.wait()
        bodies = [{"id": first["id"], "continue": True}] * 2
        waiting = [(await stack.client.post("/jobs", json=body)).json() for body in bodies]
        writer.go_on()
        states = [await ended(stack.client, job) for job in (first, going_on, *waiting)]
        waited = await asyncio.gather(
            stack.client.post("/", json={"id": first["id"], "prompt": "More"}),
            go_on(stack.client, first),
        )
        shown = await messages(stack.client, first["id"])
    assert [state["status"] for state in states] == ["completed"] * 3 + ["failed"]
    assert states[2]["result"]["reply"] == REPLY
    assert states[3]["error"]["code"] == "nothing_to_continue"
    assert waited[1].status_code == 409
    assert waited[1].json()["code"] == "nothing_to_continue"
    assert [one["content"] for one in shown] == ["Hi", REPLY] * 2 + ["More", REPLY]


async def test_a_cancelled_turn_leaves_the_reply_as_it_was(settings: Settings) -> None:
    writer = Writer(until=12)
    engine = writing(writer)
    async with running_stack(settings, engine) as stack:
        first = await cut(stack.client)
        before = await stack.client.get(f"/conversations/{first['id']}/messages")
        job = (await stack.client.post("/jobs", json={"id": first["id"], "continue": True})).json()
        await writer.has_written.wait()
        await stack.client.delete(job["links"]["self"])
        after = await stack.client.get(f"/conversations/{first['id']}/messages")
    assert after.content == before.content


async def test_a_stopped_turn_keeps_what_is_there(settings: Settings) -> None:
    writer = Writer(until=12)
    engine = writing(writer)
    async with running_stack(settings, engine) as stack:
        first = await cut(stack.client)
        job = (await stack.client.post("/jobs", json={"id": first["id"], "continue": True})).json()
        await writer.has_written.wait()
        await stop(stack.client, job)
        state = await ended(stack.client, job)
        assert state["result"]["finish_reason"] == "stopped"
        assert state["result"]["reply"] == REPLY[:12]
        writer.go_on()
        reply = (await go_on(stack.client, first)).json()
    assert reply["reply"] == REPLY


async def test_one_that_is_stopped_before_it_writes_keeps_the_reply(settings: Settings) -> None:
    writer = Writer(until=8)
    engine = writing(writer, slots=1)
    async with running_stack(settings, engine) as stack:
        first = await cut(stack.client)
        job = (await stack.client.post("/jobs", json={"id": first["id"], "continue": True})).json()
        await writer.has_written.wait()
        await stop(stack.client, job)
        state = await ended(stack.client, job)
        shown = await messages(stack.client, first["id"])
    assert (state["status"], state["result"]["reply"]) == ("completed", REPLY[:8])
    assert [one["content"] for one in shown] == ["Hi", REPLY[:8]]


async def test_the_same_key_continues_once(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: REPLY)
    key = {"Idempotency-Key": "0123456789abcdef"}
    async with running_stack(settings, engine) as stack:
        first = await cut(stack.client)
        body = {"id": first["id"], "continue": True, "max_tokens": 4}
        answers = [await stack.client.post("/", json=body, headers=key) for _ in range(2)]
        other = await stack.client.post("/", json=body | {"max_tokens": 5}, headers=key)
    assert answers[0].content == answers[1].content
    assert answers[0].json()["reply"] == REPLY[:12]
    assert other.json()["code"] == "idempotency_key_reused"


async def test_times_add_up_and_tokens_count_the_whole_reply(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: REPLY)
    async with running_stack(settings, engine) as stack:
        first = await cut(stack.client)
        second = (await go_on(stack.client, first)).json()
    assert second["timings"]["generation_ms"] == round(2 * first["timings"]["generation_ms"], 1)
    assert second["timings"]["queued_ms"] >= first["timings"]["queued_ms"]


async def test_what_is_continued_leaves_no_alternative(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: REPLY)
    async with running_stack(settings, engine) as stack:
        first = await cut(stack.client)
        await go_on(stack.client, first)
        path = f"/conversations/{first['id']}/alternatives"
        kept = (await stack.client.get(path)).json()["alternatives"]
        retry = {"id": first["id"], "prompt": "Hi", "replace_from": 1}
        await stack.client.post("/", json=retry)
        (replaced,) = (await stack.client.get(path)).json()["alternatives"]
        switched = await stack.client.post(f"{path}/{replaced['id']}")
        shown = await messages(stack.client, first["id"])
    assert kept == []
    assert switched.status_code == 200
    assert shown[1]["content"] == REPLY


async def test_a_number_behind_a_waiting_continuation_is_known(
    settings: Settings, bench: Bench
) -> None:
    """It adds no message, so the number behind it is the one behind the reply."""
    await bench.leave()
    engine = ScriptedEngine(lambda _: REPLY)
    async with running_stack(settings, engine) as stack:
        first = await cut(stack.client)
        await _without_worker(stack, bench)
        await stack.client.post("/jobs", json={"id": first["id"], "continue": True})
        body = {"id": first["id"], "prompt": "More", "replace_from": 4}
        assert (await stack.client.post("/jobs", json=body)).status_code == 422
        assert (
            await stack.client.post("/jobs", json=body | {"replace_from": 3})
        ).status_code == 202


async def _without_worker(stack: Stack, bench: Bench) -> None:
    """The worker drains: prompts are accepted, and nothing starts."""
    for worker in await bench.redis.zrange(bench.keys.workers, 0, -1):
        await bench.workers.drain(worker, "scripted", 86400)
