"""OpenAI's own client for Python, with base URL and key changed and nothing else."""

import json
from typing import Any

import pytest
from pydantic import BaseModel

from tests.clients.conftest import Serve
from tests.clients.scripts import weather
from worker.engine.interface import Part

openai: Any = pytest.importorskip("openai", reason="the clients are not installed (group clients)")

MODEL = "gpt-4o-mini"
PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [
    {
        "type": "function",
        "function": {"name": "get_weather", "parameters": PARAMETERS, "strict": True},
    }
]


class Event(BaseModel):
    """What a model fills in."""

    name: str
    participants: list[str]


def get_weather(city: str) -> str:
    return f"Rain in {city}."


def test_a_tool_loop_with_chat_completions(serve: Serve) -> None:
    server = serve(weather)
    with openai.OpenAI() as client:
        messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
        first = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
        message = first.choices[0].message
        assert first.choices[0].finish_reason == "tool_calls"
        messages.append(message)
        for call in message.tool_calls:
            result = get_weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
        second = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    assert message.model_extra["reasoning_content"] == "I must look."
    assert second.choices[0].message.content == "It rains in Paris."
    assert second.usage.completion_tokens_details.reasoning_tokens == len("Now I know.")
    assert "Rain in Paris." in server.engine.prompts[-1]


def test_a_message_can_be_sent_back_with_all_its_nulls(serve: Serve) -> None:
    serve(weather)
    with openai.OpenAI() as client:
        messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
        first = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
        messages.append(first.choices[0].message.model_dump())
        messages.append({"role": "tool", "tool_call_id": "call_1", "content": "Rain."})
        second = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    assert second.choices[0].message.content == "It rains in Paris."


def test_the_streaming_helper_puts_calls_together(serve: Serve) -> None:
    serve(weather)
    with (
        openai.OpenAI() as client,
        client.chat.completions.stream(
            model=MODEL,
            messages=[{"role": "user", "content": "How is the weather in Paris?"}],
            tools=[openai.pydantic_function_tool(City, name="get_weather")],
        ) as stream,
    ):
        kinds = [event.type for event in stream]
        completion = stream.get_final_completion()
    assert "tool_calls.function.arguments.done" in kinds
    [call] = completion.choices[0].message.tool_calls
    assert call.function.parsed_arguments == City(city="Paris")


class City(BaseModel):
    """Arguments of the tool."""

    city: str


def test_parse_with_pydantic(serve: Serve) -> None:
    serve(lambda _: '{"name": "Fair", "participants": ["Ann", "Bob"]}')
    with openai.OpenAI() as client:
        completion = client.chat.completions.parse(
            model=MODEL,
            messages=[{"role": "user", "content": "Ann and Bob go to a fair."}],
            response_format=Event,
        )
        response = client.responses.parse(
            model=MODEL, input="Ann and Bob go to a fair.", text_format=Event
        )
    expected = Event(name="Fair", participants=["Ann", "Bob"])
    assert completion.choices[0].message.parsed == expected
    assert response.output_parsed == expected


def test_several_choices(serve: Serve) -> None:
    serve(lambda _: "Yes")
    with openai.OpenAI() as client:
        answer = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "Really?"}], n=2
        )
    assert [choice.message.content for choice in answer.choices] == ["Yes", "Yes"]


def test_a_tool_loop_with_responses(serve: Serve) -> None:
    server = serve(weather)
    tools: list[Any] = [{"type": "function", "name": "get_weather", "parameters": PARAMETERS}]
    with openai.OpenAI() as client:
        items: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
        first = client.responses.create(model=MODEL, input=items, tools=tools)
        items += first.output
        for item in first.output:
            if item.type == "function_call":
                output = get_weather(**json.loads(item.arguments))
                result = {"type": "function_call_output", "call_id": item.call_id, "output": output}
                items.append(result)
        second = client.responses.create(model=MODEL, input=items, tools=tools)
        third = client.responses.create(
            model=MODEL, input=items[-1:], tools=tools, previous_response_id=first.id
        )
        listed = client.responses.input_items.list(third.id)
    assert second.output_text == third.output_text == "It rains in Paris."
    assert [item.type for item in first.output] == ["reasoning", "function_call"]
    assert [item.type for item in listed] == ["function_call_output"]
    assert "Rain in Paris." in server.engine.prompts[-1]


@pytest.mark.parametrize("summary", [None, "auto"])
def test_the_streaming_helper_of_responses(serve: Serve, summary: Any) -> None:
    serve(lambda _: [Part("reasoning", "Hm."), *weather("")[1:], Part("text", "Wait.")])
    tools: list[Any] = [{"type": "function", "name": "get_weather", "parameters": PARAMETERS}]
    with (
        openai.OpenAI() as client,
        client.responses.stream(
            model=MODEL, input="Hi", tools=tools, reasoning={"effort": "low", "summary": summary}
        ) as stream,
    ):
        kinds = {event.type for event in stream}
        response = stream.get_final_response()
    assert {"response.function_call_arguments.done", "response.completed"} <= kinds
    assert ("response.reasoning_summary_text.delta" in kinds) is (summary is not None)
    assert [item.type for item in response.output] == ["reasoning", "function_call", "message"]


def test_conversations_keep_calls(serve: Serve) -> None:
    serve(weather)
    tools: list[Any] = [{"type": "function", "name": "get_weather", "parameters": PARAMETERS}]
    with openai.OpenAI() as client:
        kept = client.conversations.create(
            items=[{"type": "message", "role": "user", "content": "I live in Paris."}]
        )
        client.responses.create(model=MODEL, input="Weather?", conversation=kept.id, tools=tools)
        client.responses.create(
            model=MODEL,
            input=[{"type": "function_call_output", "call_id": "call_1", "output": "Rain."}],
            conversation=kept.id,
            tools=tools,
        )
        items = client.conversations.items.list(kept.id, order="asc")
    assert [item.type for item in items] == [
        "message",
        "message",
        "reasoning",
        "function_call",
        "function_call_output",
        "reasoning",
        "message",
    ]
