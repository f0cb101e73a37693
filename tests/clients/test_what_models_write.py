"""OpenAI's client around what a model really writes: tags and JSON, read by the real parser."""

import json
from typing import Any

import pytest

from tests.clients.conftest import Serve
from tests.clients.raw_engine import RawEngine

openai: Any = pytest.importorskip("openai", reason="the clients are not installed (group clients)")

MODEL = "gpt-4o-mini"
QUESTION = "How is the weather in Paris?"
FUNCTION = {
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>'
THOUGHT = "<think>\nI must look.\n</think>\n\n"


def weather(prompt: str) -> str:
    """Thinks and calls; tells the weather once there is a result."""
    return "It rains in Paris." if "<tool>" in prompt else f"{THOUGHT}One moment.{CALL}"


@pytest.mark.parametrize("piece_length", [1, 0])
def test_a_tool_loop(serve: Serve, piece_length: int) -> None:
    engine = RawEngine(weather, piece_length=piece_length)
    serve(engine)
    tools: list[Any] = [{"type": "function", "function": FUNCTION}]
    messages: list[Any] = [{"role": "user", "content": QUESTION}]
    with openai.OpenAI() as client:
        first = client.chat.completions.create(model=MODEL, messages=messages, tools=tools)
        message = first.choices[0].message
        [call] = message.tool_calls
        result = {"role": "tool", "tool_call_id": call.id, "content": "Rain."}
        second = client.chat.completions.create(
            model=MODEL, messages=[*messages, message, result], tools=tools
        )
    assert message.content == "One moment."
    assert message.model_extra["reasoning_content"] == "I must look."
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments) == {"city": "Paris"}
    assert second.choices[0].message.content == "It rains in Paris."
    assert "I must look." not in engine.prompts[-1]
    assert f"<assistant>One moment.{CALL}<end><tool>Rain.<end><assistant>" in engine.prompts[-1]


def test_a_stream_of_responses(serve: Serve) -> None:
    serve(RawEngine(weather, piece_length=1))
    tools: list[Any] = [{"type": "function", **FUNCTION}]
    with openai.OpenAI() as client:
        events = list(
            client.responses.create(model=MODEL, input=QUESTION, tools=tools, stream=True)
        )
        first = events[-1].response
        [call] = [item for item in first.output if item.type == "function_call"]
        result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Rain."}
        second = client.responses.create(
            model=MODEL, input=[result], tools=tools, previous_response_id=first.id
        )
    assert [item.type for item in first.output] == ["reasoning", "message", "function_call"]
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert text == first.output_text == "One moment."
    assert second.output_text == "It rains in Paris."


def test_what_only_looks_like_a_call_is_text(serve: Serve) -> None:
    broken = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Par'
    serve(RawEngine(lambda _: broken, piece_length=1))
    tools: list[Any] = [{"type": "function", "function": FUNCTION}]
    with openai.OpenAI() as client:
        answer = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": QUESTION}], tools=tools
        )
    assert answer.choices[0].message.content == broken
    assert not answer.choices[0].message.tool_calls
    assert answer.choices[0].finish_reason == "stop"


def test_thinking_is_switched_off_by_its_effort(serve: Serve) -> None:
    engine = RawEngine(lambda _: "Rain.")
    serve(engine)
    with openai.OpenAI() as client:
        client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": QUESTION}],
            reasoning_effort="none",
        )
    assert engine.prompts[-1].endswith("<assistant><think>\n\n</think>\n\n")
