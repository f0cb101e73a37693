"""The Open Responses specification: every object and event of it, as its own models have them.

The cases are those of its compliance suite, and what replies with thoughts and calls add.
"""

from functools import reduce
from operator import or_
from typing import Any, Final

import orjson
import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from shared.config import Settings
from shared.store.keys import Keys
from shared.wire.parts import ToolCall
from tests.integration.responding import events_of, item
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack
from worker.engine.interface import Part

types = pytest.importorskip("openresponses_types.types", reason="openresponses-types is missing")

EVENTS: Final = TypeAdapter[BaseModel](
    reduce(or_, (kind for name, kind in vars(types).items() if name.endswith("StreamingEvent")))
)
OPENAIS_EVENTS: Final = TypeAdapter[BaseModel](ResponseStreamEvent)
OPEN_RESPONSES_ALONE: Final = ("response.reasoning.delta", "response.reasoning.done")
"""Events that OpenAI's client has under other names."""
CALL: Final = ToolCall(id="call_1", name="get_weather", arguments='{"location": "Paris"}')
CALLS: Final = [Part("reasoning", "Look."), Part("text", "Wait."), Part("call", CALL.encode())]
TOOL: Final = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a place.",
    "parameters": {
        "type": "object",
        "properties": {"location": {"type": "string"}},
        "required": ["location"],
    },
}
HISTORY: Final = [
    item("user", "My name is Alice."),
    item("assistant", "Hello Alice!"),
    item("user", "What is my name?"),
]
CALL_HISTORY: Final = [
    item("user", "The weather in Paris?"),
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "Hm."}]},
    {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "call_1", "output": "Rain."},
]
CASES: Final[dict[str, dict[str, Any]]] = {
    "a text": {"input": [item("user", "Say hello.")]},
    "a system prompt": {"input": [item("system", "Be a pirate."), item("user", "Say hello.")]},
    "a history": {"input": HISTORY},
    "a tool": {"input": "The weather in Paris?", "tools": [TOOL]},
    "a tool that must be called": {"input": "Hi", "tools": [TOOL], "tool_choice": "required"},
    "a named tool": {
        "input": "Hi",
        "tools": [TOOL],
        "tool_choice": {"type": "function", "name": "get_weather"},
    },
    "allowed tools": {
        "input": "Hi",
        "tools": [TOOL],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "get_weather"}],
        },
    },
    "a result": {"input": CALL_HISTORY, "tools": [TOOL]},
    "a form": {
        "input": "Hi",
        "text": {
            "format": {
                "type": "json_schema",
                "name": "greeting",
                "schema": {"type": "object", "properties": {"word": {"type": "string"}}},
                "strict": True,
            },
            "verbosity": "low",
        },
    },
    "a summary": {"input": "Hi", "reasoning": {"effort": "low", "summary": "auto"}},
    "a sealed thought": {"input": "Hi", "include": ["reasoning.encrypted_content"]},
    "an effort without a name of its own": {"input": "Hi", "reasoning": {"effort": "minimal"}},
    "the greatest effort": {"input": "Hi", "reasoning": {"effort": "max", "context": "auto"}},
    "a limit": {"input": "Hi", "max_output_tokens": 7},
}
SCRIPTS: Final[dict[str, Any]] = {
    "text": "ok",
    "thought and text": [Part("reasoning", "Hm."), Part("text", "ok")],
    "thought, text and call": CALLS,
    "call alone": CALLS[2:],
    "calls before text": [*CALLS[2:], Part("text", "So."), Part("reasoning", "Hm.")],
    "several of each": [*CALLS, *CALLS, Part("text", "So.")],
    "a thought that is cut": [Part("reasoning", "For ever and ever.")],
    "nothing": "",
}


async def post(stack: Stack, **body: Any) -> dict[str, Any]:
    answer = await stack.client.post("/v1/responses", json={"model": "any", **body})
    assert answer.status_code == 200, answer.text
    types.ResponseResource.model_validate(readable(answer.json()))
    Response.model_validate_json(answer.content, strict=True)
    return dict(answer.json())


def readable(data: dict[str, Any]) -> dict[str, Any]:
    """A response or an event without the schema of its format.

    The specification has it there, as OpenAI has; version 2.4 of the models allows only null.
    """
    if "response" in data:
        return {**data, "response": readable(data["response"])}
    text = data.get("text")
    if not isinstance(text, dict):
        return data
    return {**data, "text": {**text, "format": {**text["format"], "schema": None}}}


async def stream(stack: Stack, **body: Any) -> list[dict[str, Any]]:
    answer = await stack.client.post("/v1/responses", json={"model": "any", "stream": True, **body})
    assert answer.status_code == 200, answer.text
    events = events_of(answer)
    for event in events:
        assert type(EVENTS.validate_python(readable(event))).__name__.endswith("StreamingEvent"), (
            event
        )
        if event["type"] not in OPEN_RESPONSES_ALONE:
            OPENAIS_EVENTS.validate_json(orjson.dumps(event), strict=True)
    return events


@pytest.mark.parametrize("script", SCRIPTS)
async def test_every_object_and_event_is_one_of_the_specification(
    settings: Settings, script: str
) -> None:
    engine = ScriptedEngine(lambda _: SCRIPTS[script], piece_length=3)
    async with running_stack(settings, engine) as stack:
        for name, body in CASES.items():
            made = await post(stack, **body)
            events = await stream(stack, **body)
            found = await stack.client.get(f"/v1/responses/{made['id']}")
            assert found.json() == made, name
            assert [event["sequence_number"] for event in events] == list(range(len(events)))
            assert_output_is_what_was_streamed(events)
            streamed = events[-1]["response"]["output"]
            assert list(map(shown, streamed)) == list(map(shown, made["output"]))


def assert_output_is_what_was_streamed(events: list[dict[str, Any]]) -> None:
    """Items begin, grow and end one after another, and are those of the whole response."""
    added = [event for event in events if event["type"] == "response.output_item.added"]
    done = [event for event in events if event["type"] == "response.output_item.done"]
    output = events[-1]["response"]["output"]
    assert [event["item"] for event in done] == output
    assert [event["item"]["id"] for event in added] == [item["id"] for item in output]
    for numbered in (added, done):
        assert [event["output_index"] for event in numbered] == list(range(len(output)))
    for index, whole in enumerate(output):
        own = [event for event in events if event.get("output_index") == index]
        pieces = "".join(event["delta"] for event in own if event["type"].endswith(".delta"))
        assert pieces == text_of(whole)
        assert {event.get("item_id", whole["id"]) for event in own} == {whole["id"]}


def shown(whole: dict[str, Any]) -> tuple[str, str, str]:
    return whole["type"], text_of(whole), whole["status"]


def text_of(whole: dict[str, Any]) -> str:
    if whole["type"] == "function_call":
        return str(whole["arguments"])
    return "".join(part["text"] for part in whole["content"])


async def test_a_call_is_streamed_with_its_own_events(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: CALLS)) as stack:
        events = await stream(stack, input="The weather in Paris?", tools=[TOOL])
        made = await post(stack, input="The weather in Paris?", tools=[TOOL])
    kinds = [event["type"] for event in events if event.get("output_index") == 2]
    assert kinds == [
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
    ]
    assert [each["type"] for each in made["output"]] == ["reasoning", "message", "function_call"]
    call = made["output"][2]
    assert (call["call_id"], call["name"], call["arguments"]) == (
        CALL.id,
        CALL.name,
        CALL.arguments,
    )
    assert made["tools"] == [{**TOOL, "strict": False}]


@pytest.mark.parametrize("is_summary", [False, True])
async def test_a_thought_is_streamed_as_it_comes(settings: Settings, is_summary: bool) -> None:
    engine = ScriptedEngine(lambda _: SCRIPTS["thought and text"], piece_length=2)
    options = {"reasoning": {"summary": "auto"}} if is_summary else {}
    async with running_stack(settings, engine) as stack:
        events = await stream(stack, input="Hi", **options)
    kind = "response.reasoning_summary_text" if is_summary else "response.reasoning"
    thought = [event["delta"] for event in events if event["type"] == f"{kind}.delta"]
    assert "".join(thought) == "Hm."
    [whole] = [event["text"] for event in events if event["type"] == f"{kind}.done"]
    assert whole == "Hm."
    output = events[-1]["response"]["output"]
    assert output[0]["content"] == [{"type": "reasoning_text", "text": "Hm."}]
    summary = [{"type": "summary_text", "text": "Hm."}] if is_summary else []
    assert output[0]["summary"] == summary
    usage = events[-1]["response"]["usage"]
    assert usage["output_tokens_details"] == {"reasoning_tokens": 3}


async def test_a_call_is_answered_and_the_conversation_goes_on(settings: Settings) -> None:
    engine = ScriptedEngine(lambda prompt: "Sunny." if "64 degrees" in prompt else CALLS)
    named = {"type": "function", "name": "get_weather"}
    async with running_stack(settings, engine) as stack:
        first = await post(stack, input="The weather?", tools=[TOOL], tool_choice=named)
        output = {"type": "function_call_output", "call_id": "call_1", "output": "64 degrees"}
        for _ in range(2):  # the second time from an earlier response: a copy
            second = await post(stack, input=[output], previous_response_id=first["id"])
            assert [part["text"] for part in second["output"][0]["content"]] == ["Sunny."]
        third = await stream(stack, input="And now?", previous_response_id=second["id"])
    assert third[-1]["response"]["status"] == "completed"
    assert first["tool_choice"] == named
    assert second["previous_response_id"] == first["id"]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JV"},
    ],
    ids=["an image", "a file"],
)
@pytest.mark.parametrize("streams", [False, True])
async def test_what_is_no_text_is_refused_by_name(
    settings: Settings, part: dict[str, Any], streams: bool
) -> None:
    content = [{"type": "input_text", "text": "What is this?"}, part]
    message = {"type": "message", "role": "user", "content": content}
    async with running_stack(settings, ScriptedEngine()) as stack:
        body = {"model": "any", "input": [message], "stream": streams}
        answer = await stack.client.post("/v1/responses", json=body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    types.Error.model_validate(error)
    assert error["param"] == "input[0].content[1].type"


async def test_probabilities_stand_beside_the_text(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: CALLS, piece_length=1)
    asked = {"input": "Hi", "tools": [TOOL], "include": ["message.output_text.logprobs"]}
    async with running_stack(settings, engine) as stack:
        events = await stream(stack, **asked, top_logprobs=1)
        made = await post(stack, **asked)
    [message] = [each for each in events[-1]["response"]["output"] if each["type"] == "message"]
    whole = message["content"][0]["logprobs"]
    assert "".join(entry["token"] for entry in whole) == "Wait."
    assert len(whole[0]["top_logprobs"]) == 1
    kind = "response.output_text.delta"
    deltas = [entry for event in events if event["type"] == kind for entry in event["logprobs"]]
    assert deltas == whole
    assert made["output"][1]["content"][0]["logprobs"][0]["top_logprobs"] == []


async def test_a_stream_is_resumed_after_any_event(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: SCRIPTS["several of each"], piece_length=2)
    async with running_stack(settings, engine) as stack:
        events = await stream(stack, input="Hi", tools=[TOOL])
        path = f"/v1/responses/{events[0]['response']['id']}?stream=true"
        for number in range(len(events)):
            rest = events_of(await stack.client.get(f"{path}&starting_after={number}"))
            assert rest == events[number + 1 :]


async def test_a_stream_whose_log_has_expired_shows_the_whole_output(
    settings: Settings, redis: Any, keys: Keys
) -> None:
    engine = ScriptedEngine(lambda _: SCRIPTS["several of each"], piece_length=2)
    async with running_stack(settings, engine) as stack:
        made = await post(stack, input="Hi", tools=[TOOL])
        await redis.delete(keys.events(made["id"].removeprefix("resp_")))
        answer = await stack.client.get(f"/v1/responses/{made['id']}?stream=true")
    events = events_of(answer)
    assert_output_is_what_was_streamed(events)
    assert events[-1]["response"] == made
