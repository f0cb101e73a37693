"""`/v1/responses` as its clients see it: every member, every end, every refusal."""

import asyncio
import time
from typing import Any, Final

import pytest

from shared.config import Settings
from tests.integration.responding import SENT_BACK, events_of, item, respond
from tests.scripted import ScriptedEngine, failing
from tests.servers import Valkey, make_settings, running_stack
from tests.sse import received_data

MEMBERS: Final[dict[str, type | tuple[type, ...]]] = {
    "id": str,
    "object": str,
    "created_at": int,
    "completed_at": int,
    "status": str,
    "incomplete_details": type(None),
    "model": str,
    "previous_response_id": type(None),
    "instructions": type(None),
    "output": list,
    "error": type(None),
    "tools": list,
    "tool_choice": str,
    "truncation": str,
    "parallel_tool_calls": bool,
    "text": dict,
    "top_p": float,
    "presence_penalty": float,
    "frequency_penalty": float,
    "top_logprobs": int,
    "temperature": float,
    "reasoning": dict,
    "user": type(None),
    "usage": dict,
    "max_output_tokens": type(None),
    "max_tool_calls": type(None),
    "store": bool,
    "background": bool,
    "service_tier": str,
    "metadata": dict,
    "safety_identifier": type(None),
    "prompt_cache_key": type(None),
    "conversation": dict,
}
"""What the Open Responses specification (2026-04-24) requires, and `conversation`."""


async def test_a_stream_that_was_read_to_its_end_has_nothing_more(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        made = await respond(stack, input="Hello")
        path = f"/v1/responses/{made['id']}?stream=true&include_obfuscation=false"
        last = events_of(await stack.client.get(path))[-1]["sequence_number"]
        before = events_of(await stack.client.get(f"{path}&starting_after={last - 1}"))
        behind = events_of(await stack.client.get(f"{path}&starting_after={last}"))
    assert [event["sequence_number"] for event in before] == [last]
    assert behind == []


async def test_every_required_member_is_there_and_typed(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        made = await respond(stack, input="Hello")
        found = (await stack.client.get(f"/v1/responses/{made['id']}")).json()
        body = {"model": "any", "input": "Hello", "stream": True}
        events = events_of(await stack.client.post("/v1/responses", json=body))
    assert found == made
    for response in (made, events[-1]["response"]):
        for name, kind in MEMBERS.items():
            assert isinstance(response[name], kind), (name, response[name])
    assert made["text"] == {"format": {"type": "text"}}
    assert made["usage"]["input_tokens_details"]["cached_tokens"] == 0
    assert made["service_tier"] == "default"
    assert made["created_at"] <= made["completed_at"]


async def test_what_was_sent_is_told_again(settings: Settings) -> None:
    form = {"type": "json_schema", "name": "a", "schema": {"type": "object"}}
    sent = {
        "instructions": "Be kind.",
        "temperature": 0.2,
        "top_p": 0.5,
        "presence_penalty": 0.25,
        "frequency_penalty": -1,
        "max_output_tokens": 99,
        "max_tool_calls": 3,
        "tool_choice": "none",
        "top_logprobs": 2,
        "parallel_tool_calls": False,
        "truncation": "auto",
        "metadata": {"a": "b"},
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "user": "u",
    }
    async with running_stack(settings, ScriptedEngine()) as stack:
        made = await respond(stack, input="Hello", text={"format": form}, **sent)
        found = (await stack.client.get(f"/v1/responses/{made['id']}")).json()
        unstored = await respond(stack, input="Hello", store=False)
    assert found == made
    assert {name: made[name] for name in sent} == sent
    assert made["text"]["format"] == {**form, "description": None, "strict": False}
    assert unstored["conversation"] is None


async def test_created_at_is_the_acceptance(settings: Settings) -> None:
    held = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(step=lambda _: held)
    async with running_stack(settings, engine) as stack:
        waiting = asyncio.create_task(respond(stack, input="Hello"))
        while not engine.running:
            await asyncio.sleep(0.01)
        second = int(time.time())
        while int(time.time()) == second:  # the end is to have another second than the acceptance
            await asyncio.sleep(0.01)
        held.set_result(None)
        made = await waiting
        found = (await stack.client.get(f"/v1/responses/{made['id']}")).json()
    assert made["created_at"] == found["created_at"] < made["completed_at"]


async def test_a_reply_that_was_cut_short_is_an_incomplete_item(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        body = {"model": "any", "input": "Hello", "max_output_tokens": 3}
        made = await respond(stack, **body)
        streamed = await stack.client.post("/v1/responses", json={**body, "stream": True})
    events = events_of(streamed)
    for response in (made, events[-1]["response"]):
        assert response["status"] == response["output"][0]["status"] == "incomplete"
        assert response["completed_at"] is None
        assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert events[-1]["type"] == "response.incomplete"
    assert events[-2]["item"]["status"] == "incomplete"


async def test_a_cancelled_stream_ends_in_order(settings: Settings) -> None:
    held = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(
        lambda _: "one two three", piece_length=4, step=lambda done: held if done else None
    )
    body = {"model": "any", "input": "Hello", "stream": True, "background": True}
    async with running_stack(settings, engine) as stack:
        events: list[Any] = []
        async with (
            asyncio.timeout(20),
            stack.client.stream("POST", "/v1/responses", json=body) as answer,
        ):
            async for event in received_data(answer):
                events.append(event)
                if event["type"] == "response.output_text.delta":
                    response = events[0]["response"]["id"]
                    cancelled = await stack.client.post(f"/v1/responses/{response}/cancel")
        found = (await stack.client.get(f"/v1/responses/{response}")).json()
    assert [event["type"] for event in events[-4:]] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    for ended in (events[-1]["response"], cancelled.json(), found):
        assert ended["status"] == "cancelled"
        assert ended["output"][0]["content"][0]["text"] == "one "
        assert ended["output"][0]["status"] == "incomplete"
        assert ended["usage"]["output_tokens"] == 4
        assert ended["usage"]["input_tokens"] == len("Hello") + 3
        assert ended["error"] is None


async def test_a_failed_response_opens_no_item_and_names_its_reason(valkey: Valkey) -> None:
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH="200")
    async with running_stack(settings, ScriptedEngine(failing)) as stack:
        made = await respond(stack, input="x" * 300, background=True)
        other = await respond(stack, input="Hello", background=True)
        streams = [
            events_of(await stack.client.get(f"/v1/responses/{one['id']}?stream=true"))
            for one in (made, other)
        ]
        found = (await stack.client.get(f"/v1/responses/{made['id']}")).json()
    for events, code in zip(streams, ("context_length_exceeded", "generation_failed"), strict=True):
        kinds = [event["type"] for event in events]
        assert "response.output_item.added" not in kinds
        assert kinds[-1] == "response.failed"
        assert events[-1]["response"]["error"]["code"] == code
        assert events[-1]["response"]["output"] == []
    assert found["error"] == streams[0][-1]["response"]["error"]
    assert found["error"]["message"].startswith("Input tokens exceed the configured limit of 200")


@pytest.mark.parametrize("store", [True, False])
@pytest.mark.parametrize("path", ["responses", "chat/completions"])
async def test_what_fails_before_its_first_piece_fails_with_a_status_streamed_or_not(
    valkey: Valkey, path: str, store: bool
) -> None:
    settings = make_settings(valkey.url, PALAVER_CONTEXT_LENGTH="200")
    async with running_stack(settings, ScriptedEngine(failing)) as stack:
        for stream in (False, True):
            for text, status, code in (
                ("x" * 300, 400, "context_length_exceeded"),
                ("Hello", 500, "generation_failed"),
            ):
                said = {"input": text} if path == "responses" else {"messages": [user(text)]}
                body = {"model": "any", "stream": stream, "store": store, **said}
                answer = await stack.client.post(f"/v1/{path}", json=body)
                assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
                assert answer.headers["content-type"] == "application/json"


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"surprise": 1}, "surprise", "unknown_parameter"),
        ({"input": None}, "input", "invalid_value"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": {}}, "input", "invalid_value"),
        ({"input": ["hi"]}, "input[0]", "invalid_value"),
        ({"input": [item("user", "a")] * 1001}, "input", "invalid_value"),
        ({"input": [item("developer", "a")]}, "input", "invalid_value"),
        ({"include": ["file_search_call.results"]}, "include[0]", "invalid_value"),
        ({"text": "plain"}, "text", "invalid_value"),
        ({"text": {"format": {"type": "xml"}}}, "text.format", "invalid_value"),
        (
            {"text": {"format": {"type": "json_schema", "name": "a", "json_schema": {}}}},
            "text.format.schema",
            "missing_required_parameter",
        ),
        ({"input": " "}, "input", "invalid_value"),
        ({"input": [item("user", "a"), item("assistant", "b")]}, "input", "invalid_value"),
        ({"input": [item("owner", "a")]}, "input[0].role", "invalid_value"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id", "invalid_value"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type", "invalid_value"),
        ({"input": [{"role": "user"}]}, "input[0].content", "missing_required_parameter"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content", "invalid_value"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            "input[0].content[0].type",
            "invalid_value",
        ),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name", None),
        ({"text": {"form": 1}}, "text.form", "unknown_parameter"),
        ({"conversation": {"id": 5}}, "conversation.id", "invalid_value"),
        ({"conversation": 5}, "conversation", "invalid_value"),
        ({"temperature": "warm"}, "temperature", "invalid_value"),
        ({"reasoning": {"effort": "most"}}, "reasoning.effort", "invalid_value"),
    ],
)
async def test_one_wrong_field_is_named_by_the_clients_own_path(
    settings: Settings, fields: dict[str, Any], param: str, code: str | None
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        body = {"model": "any", "input": "Hello", **fields}
        answer = await stack.client.post("/v1/responses", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["param"] == param, error
    assert code in (None, error["code"])
    assert error["message"].count(param) <= 1
    for word in ("uple", "function-", "instance of", "discriminator", "Literal", "<"):
        assert word not in error["message"]
    if code == "unknown_parameter":
        assert error["message"] == f"Unknown parameter: '{param}'."


async def test_what_a_response_was_asked_is_listed(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        asked = [item("developer", "Be kind."), item("user", "A"), SENT_BACK, item("user", "B")]
        made = await respond(stack, input=asked)
        path = f"/v1/responses/{made['id']}/input_items"
        everything = (await stack.client.get(f"{path}?order=asc")).json()
        newest = (await stack.client.get(f"{path}?limit=1")).json()
    assert [one["content"][0]["text"] for one in everything["data"]] == [
        "Be kind.",
        "A",
        "Hello Alice!",
        "B",
    ]
    assert newest["has_more"]
    assert newest["data"] == everything["data"][-1:]


@pytest.mark.parametrize("path", ["compact"])
async def test_what_is_not_here_says_so(settings: Settings, path: str) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        answer = await stack.client.post(f"/v1/responses/{path}", json={"input": "Hi"})
    assert answer.status_code == 404
    assert f"/v1/responses/{path} is not supported" in answer.json()["error"]["message"]


async def test_models_tell_their_window(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        listed = (await stack.client.get("/v1/models")).json()["data"]
        shown = (await stack.client.get(f"/v1/models/{listed[0]['id']}")).json()
    assert listed == [shown]
    assert shown["context_length"] == shown["max_model_len"] == settings.context_length


async def test_a_reply_is_never_longer_than_the_window_and_the_receipt_tells(
    settings: Settings,
) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        native = await stack.ask("Hello", max_tokens=10**6)
        response = await respond(stack, input="Hello", max_output_tokens=10**6)
        said = [{"role": "user", "content": "Hi"}]
        body = {"model": "any", "messages": said, "max_tokens": 10**6}
        completion = await stack.client.post("/v1/chat/completions", json=body)
    for answer, used in ((native, "prompt_tokens"), (response, "input_tokens")):
        room = settings.context_length - answer["usage"][used]
        assert answer["window"]["max_tokens"] == room
    assert completion.status_code == 200
    assert all(
        len(request.prompt) + request.max_tokens <= settings.context_length
        for request in engine.requests
    )
