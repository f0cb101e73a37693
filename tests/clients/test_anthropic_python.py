"""Anthropic's own client for Python, with base URL and key changed and nothing else."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from pydantic import BaseModel

from tests.clients.conftest import Serve
from tests.clients.scripts import weather
from tests.clients.serving import Served
from tests.scripted import ScriptedEngine, failing

anthropic: Any = pytest.importorskip(
    "anthropic", reason="the clients are not installed (group clients)"
)

ClientOf = Callable[[Served[ScriptedEngine]], Any]
MODEL = "any"
QUESTION = {"role": "user", "content": "Hello, Claude"}
TOOLS = [
    {
        "name": "get_weather",
        "description": "The weather of a city.",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    }
]


class City(BaseModel):
    """What a model fills in."""

    name: str


@pytest.fixture
def client_of() -> Iterator[ClientOf]:
    """Makes clients of a server, and closes them."""
    with ExitStack() as clients:
        yield lambda served: clients.enter_context(
            anthropic.Anthropic(base_url=served.url, api_key="none")
        )


def test_the_quick_start(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(serve(lambda _: "Hello!"))
    message = client.messages.create(model=MODEL, max_tokens=1024, messages=[QUESTION])
    assert message.content[0].text == "Hello!"
    assert message.stop_reason == "end_turn"
    assert message.usage.output_tokens == len("Hello!")
    assert message._request_id.startswith("req_")


def test_the_stream_helper_ends_with_what_a_whole_reply_is(
    serve: Serve, client_of: ClientOf
) -> None:
    client = client_of(serve(weather))
    asked = {"model": MODEL, "max_tokens": 1024, "messages": [QUESTION], "tools": TOOLS}
    with client.messages.stream(**asked) as stream:
        kinds = [event.type for event in stream]
        streamed = stream.get_final_message()
    whole = client.messages.create(**asked)
    assert {"thinking", "input_json", "content_block_stop", "message_stop"} <= set(kinds)
    assert [block.to_dict() for block in streamed.content] == [
        block.to_dict() for block in whole.content
    ]
    assert streamed.stop_reason == whole.stop_reason == "tool_use"
    assert streamed.usage.output_tokens == whole.usage.output_tokens


def test_text_comes_as_a_stream(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(serve(lambda _: "One, two, three."))
    with client.messages.stream(model=MODEL, max_tokens=99, messages=[QUESTION]) as stream:
        assert "".join(stream.text_stream) == "One, two, three."


def test_a_loop_with_a_tool_ends_with_an_answer(serve: Serve, client_of: ClientOf) -> None:
    served = serve(weather)
    client = client_of(served)
    messages: list[Any] = [{"role": "user", "content": "How is Paris?"}]
    asked = {"model": MODEL, "max_tokens": 1024, "tools": TOOLS}
    reply = client.messages.create(messages=messages, **asked)
    while reply.stop_reason == "tool_use":
        messages.append({"role": "assistant", "content": reply.content})
        results = [
            {"type": "tool_result", "tool_use_id": block.id, "content": f"Rain in {block.input}"}
            for block in reply.content
            if block.type == "tool_use"
        ]
        messages.append({"role": "user", "content": results})
        reply = client.messages.create(messages=messages, **asked)
    assert [block.type for block in reply.content] == ["thinking", "text"]
    assert reply.content[1].text == "It rains in Paris."
    assert "<tool>Rain in {'city': 'Paris'}<end>" in served.engine.prompts[-1]


def test_the_tool_runner_runs_its_tools(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(serve(weather))

    @anthropic.beta_tool  # type: ignore[untyped-decorator]
    def get_weather(city: str) -> str:
        """Get the weather of a city.

        Args:
            city: its name.
        """
        return f"Rain in {city}"

    runner = client.beta.messages.tool_runner(
        model=MODEL,
        max_tokens=1024,
        tools=[get_weather],
        messages=[{"role": "user", "content": "How is Paris?"}],
    )
    assert runner.until_done().content[-1].text == "It rains in Paris."


def test_a_reply_is_parsed(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(serve(lambda _: '{"name": "Paris"}'))
    parsed = client.messages.parse(
        model=MODEL, max_tokens=99, messages=[QUESTION], output_format=City
    )
    assert parsed.parsed_output == City(name="Paris")


def test_tokens_are_counted(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(serve(lambda _: "Hello!"))
    counted = client.messages.count_tokens(model=MODEL, messages=[QUESTION])
    message = client.messages.create(model=MODEL, max_tokens=9, messages=[QUESTION])
    assert counted.input_tokens == message.usage.input_tokens > 0


def test_thoughts_are_blocks(serve: Serve, client_of: ClientOf) -> None:
    client = client_of(serve(lambda prompt: weather(f"<tool>{prompt}")))
    message = client.messages.create(
        model=MODEL,
        max_tokens=2048,
        thinking={"type": "enabled", "budget_tokens": 1024},
        messages=[QUESTION],
    )
    assert (message.content[0].thinking, message.content[1].text) == (
        "Now I know.", "It rains in Paris.",
    )  # fmt: skip


def test_wrong_requests_are_bad_requests_and_are_not_repeated(
    serve: Serve, client_of: ClientOf
) -> None:
    served = serve(ScriptedEngine(failing, window=64))
    client = client_of(served)
    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        client.messages.create(
            model=MODEL, max_tokens=9, messages=[QUESTION], extra_body={"top_k": -1}
        )
    long = [{"role": "user", "content": "x" * 100}]
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        client.messages.create(model=MODEL, max_tokens=9, messages=long)
    with pytest.raises(anthropic.InternalServerError, match="engine failed"):
        client.messages.create(model=MODEL, max_tokens=9, messages=[QUESTION])
    assert len(served.engine.prompts) == 1, "what has failed is not tried again"


async def test_the_asynchronous_client(serve: Serve) -> None:
    served = serve(lambda _: "Hello!")
    async with anthropic.AsyncAnthropic(base_url=served.url, api_key="none") as client:
        message = await client.messages.create(model=MODEL, max_tokens=99, messages=[QUESTION])
    assert message.content[0].text == "Hello!"
