"""`/v1/messages`: Anthropic's requests, replies, streams and errors."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from redis.asyncio import Redis

from api.anthropic.events import MessageEvents
from api.anthropic.message import MessageWriter
from api.anthropic.requests import MessagesRequest
from api.anthropic.turns import turn_of
from api.http.keys import KeyFile
from shared.config import Settings
from shared.store.keys import Keys
from shared.wire.event import Event
from shared.wire.limits import NO_LIMITS
from shared.wire.parts import ToolCall
from shared.wire.submission import Accepted
from tests.integration.test_stateless import held, leave
from tests.scripted import ScriptedEngine, failing
from tests.servers import Stack, Valkey, make_settings, running_stack
from tests.writing_engine import WritingEngine
from worker.engine.interface import Part

CALL = ToolCall(id="call_1", name="weather", arguments='{"city": "Paris"}')
TOOL = {"name": "weather", "input_schema": {"type": "object"}}
ASKS: dict[str, Any] = {
    "model": "any",
    "max_tokens": 100,
    "messages": [{"role": "user", "content": "Hello"}],
}
CALLED: list[dict[str, Any]] = [
    {"role": "user", "content": "How warm?"},
    {
        "role": "assistant",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "unsigned"},
            {"type": "redacted_thinking", "data": "abc"},
            {"type": "text", "text": "Wait."},
            {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Paris"}},
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "tool_result",
                "tool_use_id": "call_1",
                "content": [{"type": "text", "text": "9 degrees"}],
            },
            {"type": "text", "text": "So?", "cache_control": {"type": "ephemeral"}},
        ],
    },
]


def all_parts(_prompt: str) -> list[Part]:
    return [Part("reasoning", "Hm."), Part("text", "Wait."), Part("call", CALL.encode())]


async def post(stack: Stack, body: dict[str, Any], path: str = "/v1/messages") -> httpx.Response:
    return await stack.client.post(path, json=body)


async def streamed(stack: Stack, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a stream, each under its own name."""
    text = (await post(stack, body | {"stream": True})).raise_for_status().text
    events = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            data = orjson.loads(lines["data"])
            assert lines["event"] == data["type"]
            events.append(data)
    return events


async def test_a_conversation_is_answered(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        body = ASKS | {"system": [{"type": "text", "text": "Be kind."}], "metadata": {}}
        answer = (await post(stack, body)).raise_for_status().json()
    assert answer["content"] == [{"type": "text", "text": "You said: Hello"}]
    assert (answer["type"], answer["role"], answer["model"]) == ("message", "assistant", "scripted")
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("end_turn", None)
    assert answer["usage"]["output_tokens"] == len("You said: Hello")
    assert engine.prompts == ["<system>Be kind.<end><user>Hello<end><assistant>"]


async def test_thoughts_calls_and_results_reach_the_prompt(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        body = ASKS | {"messages": CALLED, "tools": [TOOL]}
        assert (await post(stack, body)).status_code == 200
    assert engine.prompts[0].endswith(
        '<assistant>[thought Hm.]Wait.[call weather {"city":"Paris"}]<end>'
        "<tool>9 degrees<end><user>So?<end><assistant>"
    )


async def test_a_failed_result_is_shown_as_one(settings: Settings) -> None:
    result = {"type": "tool_result", "tool_use_id": "call_1", "content": "no net", "is_error": True}
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        messages = [*CALLED[:2], {"role": "user", "content": [result]}]
        assert (await post(stack, ASKS | {"messages": messages})).status_code == 200
    assert engine.prompts[0].endswith("<tool>Error: no net<end><assistant>")


async def test_every_part_of_a_reply_is_a_block(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(all_parts)) as stack:
        answer = (await post(stack, ASKS | {"tools": [TOOL]})).raise_for_status().json()
    assert answer["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "unsigned"},
        {"type": "text", "text": "Wait."},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Paris"}},
    ]
    assert answer["stop_reason"] == "tool_use"
    assert answer["usage"]["output_tokens_details"] == {"thinking_tokens": 3}


@pytest.mark.parametrize("piece_length", [0, 1, 4])
async def test_a_stream_adds_up_to_the_reply(settings: Settings, piece_length: int) -> None:
    engine = ScriptedEngine(all_parts, piece_length=piece_length)
    async with running_stack(settings, engine) as stack:
        body = ASKS | {"tools": [TOOL]}
        whole = (await post(stack, body)).json()
        events = await streamed(stack, body)
    assert [events[0]["type"], events[1]["type"], events[-1]["type"]] == [
        "message_start", "ping", "message_stop",
    ]  # fmt: skip
    blocks: list[dict[str, Any]] = []
    for event in events:
        if event["type"] == "content_block_start":
            assert event["index"] == len(blocks)
            blocks.append(event["content_block"] | {"json": ""})
        elif event["type"] == "content_block_delta":
            delta, block = event["delta"], blocks[event["index"]]
            match delta["type"]:
                case "text_delta":
                    block["text"] += delta["text"]
                case "thinking_delta":
                    block["thinking"] += delta["thinking"]
                case "signature_delta":
                    block["signature"] = delta["signature"]
                case "input_json_delta":
                    block["json"] += delta["partial_json"]
    for block in blocks:
        if written := block.pop("json"):
            block["input"] = orjson.loads(written)
    assert blocks == whole["content"]
    (ending,) = [event for event in events if event["type"] == "message_delta"]
    assert ending["delta"] == {"stop_reason": "tool_use", "stop_sequence": None}
    assert ending["usage"]["output_tokens"] == whole["usage"]["output_tokens"]


async def test_a_thought_can_be_left_out(settings: Settings) -> None:
    thinking = {"type": "adaptive", "display": "omitted"}
    async with running_stack(settings, ScriptedEngine(all_parts)) as stack:
        answer = (await post(stack, ASKS | {"thinking": thinking})).json()
        events = await streamed(stack, ASKS | {"thinking": thinking})
    assert answer["content"][0]["thinking"] == ""
    assert not [event for event in events if "thinking_delta" in str(event)]


async def test_a_reply_that_is_cut_says_so(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        answer = (await post(stack, ASKS | {"max_tokens": 3})).json()
    assert (answer["stop_reason"], answer["content"][0]["text"]) == ("max_tokens", "You")


async def test_a_stop_sequence_that_ended_the_reply_is_named(settings: Settings) -> None:
    engine = WritingEngine(lambda _: "<think>I END</think>Wait. END not")
    async with running_stack(settings, engine) as stack:
        body = ASKS | {"stop_sequences": ["never", "END"]}
        answer = (await post(stack, body)).raise_for_status().json()
        events = await streamed(stack, body)
    assert answer["content"][-1] == {"type": "text", "text": "Wait. "}
    assert (answer["stop_reason"], answer["stop_sequence"]) == ("stop_sequence", "END")
    assert events[-2]["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


async def test_tokens_are_counted_without_a_reply(settings: Settings) -> None:
    engine = ScriptedEngine()
    async with running_stack(settings, engine) as stack:
        body = {"model": "any", "messages": ASKS["messages"]}
        counted = await post(stack, body, "/v1/messages/count_tokens")
        answer = (await post(stack, ASKS)).json()
    assert counted.json() == {"input_tokens": len("Hello") + 3}
    assert answer["usage"]["input_tokens"] == len("Hello") + 3
    assert len(engine.prompts) == 1


async def test_thinking_and_tool_choice_reach_the_worker(settings: Settings) -> None:
    """Each is a field of the turn, so that a worker of an older version refuses it."""
    async with running_stack(settings, ScriptedEngine()) as stack:
        for thinking in (
            {"type": "enabled", "budget_tokens": 1024},
            {"type": "disabled"},
            {"type": "adaptive"},
        ):
            body = ASKS | {"max_tokens": 2000, "thinking": thinking}
            assert (await post(stack, body)).status_code == 200, thinking
        for choice in ("auto", "none"):
            body = ASKS | {"tools": [TOOL], "tool_choice": {"type": choice}}
            assert (await post(stack, body)).status_code == 200, choice


async def test_what_happens_anyway_can_be_asked_for(settings: Settings) -> None:
    tool = TOOL | {"defer_loading": False, "allowed_callers": ["direct"]}
    body = ASKS | {"speed": "standard", "inference_geo": "global", "tools": [tool]}
    async with running_stack(settings, ScriptedEngine()) as stack:
        assert (await post(stack, body)).status_code == 200


async def test_a_budget_is_the_longest_thought(settings: Settings) -> None:
    engine = ScriptedEngine()
    thinking = {"type": "enabled", "budget_tokens": 1024}
    async with running_stack(settings, engine) as stack:
        for body in ({"thinking": thinking}, {"thinking": {"type": "adaptive"}}):
            assert (await post(stack, ASKS | {"max_tokens": 2000} | body)).status_code == 200
    room = settings.context_length - len(engine.requests[0].prompt)
    assert [request.reasoning_limit for request in engine.requests] == [1024, room // 2]


@pytest.mark.parametrize(("max_tokens", "budget", "longest"), [
    (2000, 1999, 1999),
    (5000, 3000, 3000),
    (10**6, 4095, 4095),
    (10**6, 4096, 2048),
    (10**6, 10**5, 2048),
])  # fmt: skip
def test_a_reply_that_is_cut_keeps_room_for_an_answer(
    max_tokens: int, budget: int, longest: int
) -> None:
    thinking = {"type": "enabled", "budget_tokens": budget}
    body = ASKS | {"max_tokens": max_tokens, "thinking": thinking}
    turn = turn_of(MessagesRequest.model_validate(body), 4096)
    assert turn.longest_thought == longest
    assert turn.sampling.max_tokens == min(max_tokens, 4096)


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"max_tokens": None}, "max_tokens"),
    ({"messages": []}, "messages"),
    ({"messages": CALLED[:2]}, "tool_result"),
    ({"messages": CALLED[2:]}, "tool_use_id"),
    ({"messages": [{"role": "user", "content": CALLED[1]["content"]}]}, "messages.0.content.0"),
    ({"messages": [{"role": "user", "content": [{"type": "image", "source": {}}]}]}, "only blocks"),
    ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
    ({"tools": [TOOL, TOOL]}, "same name"),
    ({"tools": [TOOL], "tool_choice": {"type": "tool", "name": "other"}}, "none of the tools"),
    ({"tool_choice": {"type": "any"}}, "needs tools"),
    ({"tool_choice": {"type": "maybe"}}, "auto, any, tool or none"),
    ({"thinking": {"type": "enabled", "budget_tokens": 2000}}, "budget_tokens"),
    ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
    ({"speed": "fast"}, "speed"),
    ({"inference_geo": "us"}, "inference_geo"),
    ({"container": "c"}, "container"),
    ({"tools": [TOOL | {"defer_loading": True}]}, "defer_loading"),
    ({"tools": [TOOL | {"allowed_callers": ["code_execution_20250825"]}]}, "allowed_callers"),
    ({"temperature": "hot"}, "temperature"),
    ({"thread": {"type": "create"}}, "thread"),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=lambda value: str(value)[:40])
async def test_what_cannot_be_done_is_refused_by_name(
    settings: Settings, change: dict[str, Any], words: str
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        answer = await post(stack, ASKS | change)
    assert answer.status_code == 400, answer.text
    problem = answer.json()
    assert (problem["type"], problem["error"]["type"]) == ("error", "invalid_request_error")
    assert words in problem["error"]["message"]
    assert problem["request_id"] == answer.headers["request-id"]


async def test_a_prompt_that_is_too_long_is_the_clients_error(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(window=64)) as stack:
        for body in (ASKS, ASKS | {"stream": True}):
            long = body | {"messages": [{"role": "user", "content": "x" * 100}]}
            answer = await post(stack, long)
            assert answer.status_code == 400
            assert answer.json()["error"]["message"].startswith("prompt is too long: ")
            assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_turn_that_fails_at_once_has_the_status_of_an_error(
    settings: Settings, stream: bool
) -> None:
    async with running_stack(settings, ScriptedEngine(failing)) as stack:
        answer = await post(stack, ASKS | {"stream": stream})
    assert (answer.status_code, answer.json()["error"]["type"]) == (500, "api_error")


async def test_a_turn_that_fails_in_mid_stream_ends_with_an_error_event() -> None:
    accepted = Accepted(job_id="0" * 32, conversation_id="1")
    events = MessageEvents(MessageWriter(id="msg_1", model_name="any"), accepted)
    error = {"error": {"code": "worker_lost", "detail": "gone"}}
    sent = [
        orjson.loads(translated.data or b"")
        for event in (
            Event(id="1-0", kind="token", data='{"text": "Hel"}'),
            Event(id="2-0", kind="failed", data=orjson.dumps(error).decode()),
        )
        for translated in await events(event)
    ]
    assert [event["type"] for event in sent][-2:] == ["content_block_delta", "error"]
    assert sent[-1]["error"] | {"job": "", "id": 0} == {
        "type": "api_error", "message": "gone", "code": "worker_lost", "job": "", "id": 0,
    }  # fmt: skip


async def test_the_key_may_come_in_anthropics_header(valkey: Valkey, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    key = KeyFile(path).create("ann", NO_LIMITS)
    settings = make_settings(valkey.url, PALAVER_API_KEYS_FILE=path)
    async with running_stack(settings, ScriptedEngine()) as stack:
        for headers, status in (
            ({"x-api-key": key, "anthropic-version": "2023-06-01"}, 200),
            ({"x-api-key": "plv_wrong"}, 401),
            ({"x-api-key": key, "Authorization": "Bearer plv_wrong"}, 401),
            ({}, 401),
        ):
            answer = await stack.client.post("/v1/messages", json=ASKS, headers=headers)
            assert answer.status_code == status, headers


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_its_turn(
    settings: Settings, redis: Redis, keys: Keys, stream: bool
) -> None:
    engine = ScriptedEngine(piece_length=1, step=held)
    async with running_stack(settings, engine) as stack:
        job = await leave(stack, "/v1/messages", ASKS | {"stream": stream}, redis, keys)
        await until_idle(redis, keys, engine)
        status: Any = await redis.hget(keys.job(job), "status")  # type: ignore[misc]  # redis-py types both clients as one
    assert status == "cancelled"


async def until_idle(redis: Redis, keys: Keys, engine: ScriptedEngine) -> None:
    """Return when no turn is open any more."""
    async with asyncio.timeout(10):
        while await redis.zcard(keys.open_jobs) or engine.running:
            await asyncio.sleep(0.005)
