"""Responses that call tools: results come back by any of the ways in which a history is kept."""

from typing import Any, Final

import httpx
import pytest

from shared.config import Settings
from shared.wire.parts import ToolCall
from tests.integration.responding import item, respond
from tests.integration.test_nothing_left import space_of
from tests.scripted import ScriptedEngine
from tests.servers import Stack, Valkey, make_settings, running_stack
from worker.engine.interface import Part

TOOL: Final = {"type": "function", "name": "look_up", "parameters": {"type": "object"}}
SEA: Final = ToolCall(id="call_sea", name="look_up", arguments='{"word": "sea"}')
SKY: Final = ToolCall(id="call_sky", name="look_up", arguments='{"word": "sky"}')
CALLS: Final = [
    Part("reasoning", "Both."),
    Part("call", SEA.encode()),
    Part("call", SKY.encode()),
]
RESULTS: Final = [
    {"type": "function_call_output", "call_id": SEA.id, "output": "salty"},
    {"type": "function_call_output", "call_id": SKY.id, "output": "blue"},
]


def calling(prompt: str) -> str | list[Part]:
    """Calls both, and answers once there are results."""
    return "Salty and blue." if prompt.endswith("blue<end><assistant>") else CALLS


def kinds(items: list[dict[str, Any]]) -> list[str]:
    return [each["type"] for each in items]


async def listed(stack: Stack, path: str) -> list[dict[str, Any]]:
    answer = await stack.client.get(f"{path}?order=asc&limit=100")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["data"])


@pytest.mark.parametrize("way", ["previous", "conversation", "client"])
async def test_results_are_answered_whoever_keeps_the_history(settings: Settings, way: str) -> None:
    engine = ScriptedEngine(calling)
    async with running_stack(settings, engine) as stack:
        more: dict[str, Any] = {"tools": [TOOL]}
        if way == "conversation":
            made = await stack.client.post("/v1/conversations", json={})
            more["conversation"] = made.json()["id"]
        first = await respond(stack, input="Look both up.", **more)
        assert kinds(first["output"]) == ["reasoning", "function_call", "function_call"]
        sent: list[dict[str, Any]] = list(RESULTS)
        if way == "previous":
            more["previous_response_id"] = first["id"]
        elif way == "client":
            more["store"] = False
            sent = [item("user", "Look both up."), *first["output"], *RESULTS]
        second = await respond(stack, input=sent, **more)
    assert second["output"][0]["content"][0]["text"] == "Salty and blue."
    for text in ("Look both up.", "<tool>salty", "blue<end>"):
        assert text in engine.prompts[-1]


async def test_everything_is_shown_as_items(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(calling)) as stack:
        first = await respond(stack, input="Look both up.", tools=[TOOL])
        second = await respond(stack, input=RESULTS, tools=[TOOL], previous_response_id=first["id"])
        path = f"/v1/conversations/{second['conversation']['id']}/items"
        items = await listed(stack, path)
        inputs = await listed(stack, f"/v1/responses/{second['id']}/input_items")
        shown = [(await stack.client.get(f"{path}/{each['id']}")).json() for each in items]
        page = (await stack.client.get(f"{path}?limit=2&after={items[3]['id']}")).json()
    assert kinds(items) == [
        "message",
        "reasoning",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
        "message",
    ]
    assert items[1:4] == first["output"]
    assert items[4:6] == inputs
    assert items[6:] == second["output"]
    assert shown == items
    assert page["data"] == [items[2], items[1]]
    assert len({each["id"] for each in items}) == len(items)
    assert [each["output"] for each in inputs] == ["salty", "blue"]


async def test_items_of_all_kinds_can_be_added(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: "ok")
    thought = {"type": "reasoning_text", "text": "Hm."}
    added = [
        item("user", "Look it up."),
        {"type": "reasoning", "id": "rs_1", "summary": [], "content": [thought]},
        {
            "type": "function_call",
            "call_id": SEA.id,
            "name": SEA.name,
            "arguments": SEA.arguments,
        },
        RESULTS[0],
        item("assistant", "Salty."),
    ]
    async with running_stack(settings, engine) as stack:
        made = await stack.client.post("/v1/conversations", json={})
        path = f"/v1/conversations/{made.json()['id']}/items"
        answer = await stack.client.post(path, json={"items": added})
        items = await listed(stack, path)
        await respond(stack, input="And?", conversation=made.json()["id"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["data"] == items
    assert kinds(items) == [each["type"] for each in added]
    assert "<tool>salty<end>" in engine.prompts[-1]
    assert "Salty." in engine.prompts[-1]


async def test_a_sealed_thought_is_read_where_its_text_is_not_sent_back(
    settings: Settings,
) -> None:
    engine = ScriptedEngine(lambda _: CALLS)
    include = ["reasoning.encrypted_content"]
    async with running_stack(settings, engine) as stack:
        made = await respond(stack, input="Hi", tools=[TOOL], store=False, include=include)
        [thought, *calls] = made["output"]
        sealed = {
            "type": "reasoning",
            "summary": [],
            "encrypted_content": thought["encrypted_content"],
        }
        stored = await respond(stack, input=[item("user", "Hi"), sealed, *calls, *RESULTS])
        inputs = await listed(stack, f"/v1/responses/{stored['id']}/input_items")
    assert inputs[1]["content"] == [{"type": "reasoning_text", "text": "Both."}]


async def test_tokens_are_counted_as_the_response_would_have_them(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: "ok")
    async with running_stack(settings, engine) as stack:
        first = await respond(stack, input="One")
        for body in (
            {"input": "Hello", "instructions": "Be brief."},
            {"input": [item("user", "A"), item("assistant", "B"), item("user", "C")]},
            {"input": "Two", "previous_response_id": first["id"]},
        ):
            counted = await stack.client.post("/v1/responses/input_tokens", json=body)
            made = await respond(stack, store=False, **body)
            assert counted.json() == {
                "object": "response.input_tokens",
                "input_tokens": made["usage"]["input_tokens"],
            }
        path = f"/v1/conversations/{first['conversation']['id']}/items"
        assert len(await listed(stack, path)) == 2
        unknown = await stack.client.post(
            "/v1/responses/input_tokens", json={"input": "A", "conversation": "conv_1"}
        )
        both = await stack.client.post(
            "/v1/responses/input_tokens",
            json={"input": "A", "previous_response_id": first["id"], "conversation": "conv_1"},
        )
    assert (unknown.status_code, both.status_code) == (404, 400)


async def test_an_input_is_counted_behind_a_conversation_that_stays_as_it_is(
    settings: Settings,
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack, space_of(settings) as space:
        first = await stack.ask("One.", context="Be brief.")
        empty = (await stack.client.post("/conversations", json={"context": "Be kind."})).json()
        for conversation in (first["id"], empty["id"]):
            path = f"/conversations/{conversation}"
            before = [(await stack.client.get(p)).json() for p in (path, f"{path}/messages")]
            names = await space.names()
            counted = await stack.client.post(
                "/v1/responses/input_tokens",
                json={"input": "Two.", "conversation": f"conv_{conversation}"},
            )
            after = [(await stack.client.get(p)).json() for p in (path, f"{path}/messages")]
            assert (before, names) == (after, await space.names())
            reply = await stack.ask("Two.", id=conversation)
            assert counted.json()["input_tokens"] == reply["usage"]["prompt_tokens"]


async def test_what_is_too_long_behind_a_conversation_is_told_by_counting(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH=200)
    async with running_stack(settings, ScriptedEngine()) as stack:
        conversation = (await stack.ask("One.", context="x" * 100))["id"]
        answers = [
            await stack.client.post(
                "/v1/responses/input_tokens",
                json={"input": text, "conversation": f"conv_{conversation}", "truncation": "auto"},
            )
            for text in ("Two.", "y" * 120)
        ]
        alone = await stack.client.post("/v1/responses/input_tokens", json={"input": "y" * 120})
    assert [answer.status_code for answer in answers] == [200, 400]
    assert answers[1].json()["error"]["code"] == "context_length_exceeded"
    assert alone.status_code == 200, "it is too long with the instructions of the conversation"


async def test_items_can_be_referred_to(settings: Settings) -> None:
    engine = ScriptedEngine(calling)
    async with running_stack(settings, engine) as stack:
        first = await respond(stack, input="Look both up.", tools=[TOOL])
        path = f"/v1/responses/{first['id']}/input_items"
        everything = [*await listed(stack, path), *first["output"]]
        references = [{"type": "item_reference", "id": each["id"]} for each in everything]
        second = await respond(stack, input=[*references, *RESULTS], tools=[TOOL])
        inputs = await listed(stack, f"/v1/responses/{second['id']}/input_items")
        for name in ("msg_1", "x", 5, None):
            answer = await refer(stack, name)
            assert (answer.status_code, answer.json()["error"]["param"]) == (400, "input[1].id")
        for name in (f"msg_{'0' * 32}a", first["output"][0]["id"] + "n7"):
            assert (await refer(stack, name)).status_code == 404
    assert second["output"][0]["content"][0]["text"] == "Salty and blue."
    assert [content(each) for each in inputs[:-2]] == [content(each) for each in everything]


async def refer(stack: Stack, name: object) -> httpx.Response:
    unknown = [item("user", "A"), {"type": "item_reference", "id": name}]
    return await stack.client.post("/v1/responses", json={"input": unknown})


def content(whole: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in whole.items() if name != "id"}
