"""Frameworks over OpenAI's API: each one's own quick start, base URL and key changed."""

from typing import Any

import pytest
from pydantic import BaseModel

from tests.clients.conftest import Serve
from tests.clients.scripts import fills_in, weather

# Some of them leave connections open.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning",
    "ignore::ResourceWarning",
    "ignore::DeprecationWarning",
)
MISSING = "the clients are not installed (group clients)"
MODEL = "gpt-4o-mini"
QUESTION = "How is the weather in Paris?"


class City(BaseModel):
    """A city and its country."""

    city: str
    country: str


PARIS = City(city="Paris", country="France")


async def test_openai_agents(serve: Serve) -> None:
    agents: Any = pytest.importorskip("agents", reason=MISSING)
    server = serve(weather)

    @agents.function_tool  # type: ignore[untyped-decorator]
    def get_weather(city: str) -> str:
        """The weather of a city."""
        return f"Rain in {city}."

    agents.set_tracing_disabled(True)
    agents.set_default_openai_client(_async_client(), use_for_tracing=False)
    agent = agents.Agent(name="Assistant", instructions="Be brief.", tools=[get_weather])
    result = await agents.Runner.run(agent, QUESTION)
    streamed = agents.Runner.run_streamed(agent, QUESTION)
    kinds = [event.type async for event in streamed.stream_events()]
    assert result.final_output == streamed.final_output == "It rains in Paris."
    assert "run_item_stream_event" in kinds
    assert "Rain in Paris." in server.engine.prompts[-1]


async def test_openai_agents_with_an_output_type(serve: Serve) -> None:
    agents: Any = pytest.importorskip("agents", reason=MISSING)
    serve(lambda _: PARIS.model_dump_json())
    agents.set_tracing_disabled(True)
    agents.set_default_openai_client(_async_client(), use_for_tracing=False)
    agent = agents.Agent(name="Assistant", output_type=City)
    result = await agents.Runner.run(agent, "Where is the Louvre?")
    assert result.final_output == PARIS


def _async_client() -> Any:
    openai: Any = pytest.importorskip("openai", reason=MISSING)
    return openai.AsyncOpenAI()


def test_langchain_create_agent(serve: Serve) -> None:
    agents: Any = pytest.importorskip("langchain.agents", reason=MISSING)
    pytest.importorskip("langchain_openai", reason=MISSING)
    server = serve(weather)

    def get_weather(city: str) -> str:
        """Get weather for a given city."""
        return f"Rain in {city}."

    agent = agents.create_agent(
        model=f"openai:{MODEL}", tools=[get_weather], system_prompt="You are helpful."
    )
    result = agent.invoke({"messages": [{"role": "user", "content": QUESTION}]})
    assert result["messages"][-1].text == "It rains in Paris."
    assert "Rain in Paris." in server.engine.prompts[-1]


def test_langchain_structured_output(serve: Serve) -> None:
    models: Any = pytest.importorskip("langchain_openai", reason=MISSING)
    serve(lambda _: PARIS.model_dump_json())
    model = models.ChatOpenAI(model=MODEL).with_structured_output(City)
    assert model.invoke("Where is the Louvre?") == PARIS


async def test_pydantic_ai_with_its_default_output(serve: Serve) -> None:
    pydantic_ai: Any = pytest.importorskip("pydantic_ai", reason=MISSING)
    serve(lambda _: fills_in("final_result", PARIS.model_dump_json()))
    for prefix in ("openai-chat", "openai-responses"):
        agent = pydantic_ai.Agent(f"{prefix}:{MODEL}", output_type=City)
        result = await agent.run("Where is the Louvre?")
        assert result.output == PARIS


async def test_pydantic_ai_with_a_tool(serve: Serve) -> None:
    pydantic_ai: Any = pytest.importorskip("pydantic_ai", reason=MISSING)
    serve(weather)
    agent = pydantic_ai.Agent(f"openai-chat:{MODEL}", instructions="Be brief.")

    @agent.tool_plain  # type: ignore[untyped-decorator]
    def get_weather(city: str) -> str:
        return f"Rain in {city}."

    result = await agent.run(QUESTION)
    assert result.output == "It rains in Paris."


def test_instructor_with_its_default_mode(serve: Serve) -> None:
    instructor: Any = pytest.importorskip("instructor", reason=MISSING)
    openai: Any = pytest.importorskip("openai", reason=MISSING)
    serve(lambda _: fills_in("City", PARIS.model_dump_json()))
    client = instructor.from_openai(openai.OpenAI())
    city = client.chat.completions.create(
        model=MODEL,
        response_model=City,
        messages=[{"role": "user", "content": "Where is the Louvre?"}],
    )
    assert city.model_dump() == PARIS.model_dump()
    client = instructor.from_provider(f"openai/{MODEL}")
    city = client.create(
        response_model=City, messages=[{"role": "user", "content": "Where is the Louvre?"}]
    )
    assert city.model_dump() == PARIS.model_dump()


def test_llama_index(serve: Serve) -> None:
    models: Any = pytest.importorskip("llama_index.llms.openai", reason=MISSING)
    server = serve(lambda _: "Paul Graham is a programmer.")
    # It reads the address when it is imported, so it is given here.
    model = models.OpenAI(model=MODEL, api_base=server.openai_url)
    assert model.complete("Paul Graham is ").text == "Paul Graham is a programmer."
    pieces = [piece.delta or "" for piece in model.stream_complete("Paul Graham is ")]
    assert "".join(pieces) == "Paul Graham is a programmer."


async def test_llama_index_agent(serve: Serve) -> None:
    models: Any = pytest.importorskip("llama_index.llms.openai", reason=MISSING)
    workflow: Any = pytest.importorskip("llama_index.core.agent.workflow", reason=MISSING)
    server = serve(weather)

    def get_weather(city: str) -> str:
        """Useful for the weather of a city."""
        return f"Rain in {city}."

    agent = workflow.FunctionAgent(
        tools=[get_weather],
        llm=models.OpenAI(model=MODEL, api_base=server.openai_url),
        system_prompt="You are a helpful assistant.",
    )
    assert str(await agent.run(QUESTION)) == "It rains in Paris."
    assert "Rain in Paris." in server.engine.prompts[-1]
