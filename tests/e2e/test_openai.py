"""OpenAI's own client, with base address and key changed and nothing else."""

import asyncio
import json
from collections.abc import Iterator

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.e2e.processes import Palaver, running_palaver

MODEL = "gpt-4o-mini"
SYSTEM: ChatCompletionMessageParam = {
    "role": "system",
    "content": "You are the keeper of a lighthouse on a small island, and you answer in few words. "
    "You have seen many ships, many storms, and one mermaid, of whom you do not like to speak.",
}
HELLO: ChatCompletionMessageParam = {"role": "user", "content": "Who are you?"}


@pytest.fixture(scope="module")
def palaver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Palaver]:
    """One worker: with several nobody knows whose cache a turn meets."""
    folder = tmp_path_factory.mktemp("openai")
    with running_palaver(folder, PALAVER_CONTEXT_LENGTH="400") as palaver:
        yield palaver


@pytest.fixture
def client(palaver: Palaver) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{palaver.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_models_are_those_that_run(client: openai.OpenAI) -> None:
    [model] = client.models.list().data
    assert "SmolLM2" in model.id
    assert client.models.retrieve(model.id) == model
    assert model.model_dump()["demo"] is True
    with pytest.raises(openai.NotFoundError) as error:
        client.models.retrieve("none-of-ours")
    assert error.value.code == "model_not_found"


def test_a_completion(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=[SYSTEM, HELLO], max_completion_tokens=24, temperature=0
    )
    [choice] = answer.choices
    assert answer.id.startswith("chatcmpl-")
    assert choice.message.role == "assistant"
    assert choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert answer.usage is not None
    assert answer.usage.completion_tokens <= 24
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_a_stream_says_the_same_as_the_whole(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(
        model=MODEL, messages=[SYSTEM, HELLO], max_tokens=24, temperature=0, seed=1
    )
    chunks = list(
        client.chat.completions.create(
            model=MODEL,
            messages=[SYSTEM, HELLO],
            max_tokens=24,
            temperature=0,
            seed=1,
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    *pieces, last = chunks
    assert pieces[0].choices[0].delta.role == "assistant"
    text = "".join(chunk.choices[0].delta.content or "" for chunk in pieces)
    assert text == whole.choices[0].message.content
    assert pieces[-1].choices[0].finish_reason == whole.choices[0].finish_reason
    assert all(chunk.usage is None for chunk in pieces)
    assert last.choices == []
    assert last.usage is not None
    assert whole.usage is not None
    assert last.usage.completion_tokens == whole.usage.completion_tokens
    assert len({chunk.id for chunk in chunks}) == 1


def test_what_a_client_sends_again_is_not_evaluated_again(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(
        model=MODEL, messages=[SYSTEM, HELLO], max_tokens=16, temperature=0
    )
    reply: ChatCompletionMessageParam = {
        "role": "assistant",
        "content": first.choices[0].message.content,
    }
    more: ChatCompletionMessageParam = {"role": "user", "content": "And the mermaid?"}
    second = client.chat.completions.create(
        model=MODEL, messages=[SYSTEM, HELLO, reply, more], max_tokens=16, temperature=0
    )
    assert first.usage is not None
    assert second.usage is not None
    details = second.usage.prompt_tokens_details
    assert details is not None
    assert details.cached_tokens is not None
    assert details.cached_tokens >= first.usage.prompt_tokens


def test_a_seed_gives_the_same_again(client: openai.OpenAI) -> None:
    def drawn(seed: int) -> str | None:
        answer = client.chat.completions.create(
            model=MODEL, messages=[HELLO], max_tokens=16, temperature=1.2, seed=seed
        )
        return answer.choices[0].message.content

    assert drawn(7) == drawn(7)
    assert len({drawn(seed) for seed in range(4)}) > 1


def test_a_stop_string_ends_the_reply_and_is_not_part_of_it(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=[SYSTEM, HELLO], max_tokens=60, temperature=0, stop=[" "]
    )
    assert " " not in (answer.choices[0].message.content or " ")
    assert answer.choices[0].finish_reason == "stop"


def test_a_reply_follows_a_schema(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 20},
            "age": {"type": "integer", "minimum": 0, "maximum": 150},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": "Invent a person."}],
        max_tokens=80,
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": schema, "strict": True},
        },
    )
    person = json.loads(answer.choices[0].message.content or "")
    assert set(person) == {"name", "age"}
    assert isinstance(person["age"], int)


def test_a_schema_that_cannot_be_followed_is_the_clients_mistake(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(
            model=MODEL,
            messages=[HELLO],
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "x", "schema": {"$ref": "#/$defs/x"}},
            },
        )
    assert error.value.code == "unusable_options"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n", 9),
        ("tools", [{"type": "web_search"}]),
        ("top_logprobs", 3),
        ("modalities", ["audio"]),
        ("reasoning_effort", "endless"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    client: openai.OpenAI, field: str, value: object
) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=MODEL, messages=[HELLO], extra_body={field: value})
    assert error.value.param is not None
    assert error.value.param.startswith(field)


def test_tools_need_a_model_that_knows_them(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(
            model=MODEL,
            messages=[HELLO],
            tools=[{"type": "function", "function": {"name": "f", "parameters": {}}}],
        )
    assert "template" in error.value.message
    assert "tools" in error.value.message


def test_several_replies_to_one_prompt(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model=MODEL, messages=[HELLO], max_tokens=12, temperature=1.2, seed=3, n=3
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) > 1


def test_a_begun_reply_is_continued(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(
        model=MODEL, messages=[SYSTEM, HELLO], max_tokens=24, temperature=0, seed=1
    )
    text = whole.choices[0].message.content or ""
    begun: ChatCompletionMessageParam = {"role": "assistant", "content": text[: len(text) // 2]}
    rest = client.chat.completions.create(
        model=MODEL, messages=[SYSTEM, HELLO, begun], max_tokens=24, temperature=0, seed=1
    )
    continued = text[: len(text) // 2] + (rest.choices[0].message.content or "")
    assert continued.startswith(text[: len(text) // 2 + 5])


def test_too_many_messages_for_the_window_are_refused_and_not_cut(client: openai.OpenAI) -> None:
    long: ChatCompletionMessageParam = {"role": "user", "content": "very long " * 1000}
    with pytest.raises(openai.BadRequestError) as error:
        client.chat.completions.create(model=MODEL, messages=[long])
    assert error.value.code == "context_length_exceeded"


async def test_the_asynchronous_client_and_many_at_once(palaver: Palaver) -> None:
    async with openai.AsyncOpenAI(base_url=f"{palaver.url}/v1", api_key="none") as client:

        async def one(number: int) -> str:
            answer = await client.chat.completions.create(
                model=MODEL,
                messages=[SYSTEM, {"role": "user", "content": f"Count to {number}."}],
                max_tokens=8,
            )
            return answer.choices[0].message.content or ""

        replies = await asyncio.gather(*(one(number) for number in range(12)))
    assert all(replies)


def test_every_answer_has_a_name_and_a_time(client: openai.OpenAI) -> None:
    answer = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=[HELLO], max_tokens=4
    )
    assert answer.headers["x-request-id"].startswith("req_")
    assert int(answer.headers["openai-processing-ms"]) >= 0
    assert answer.parse()._request_id == answer.headers["x-request-id"]


def test_langchain_works_unchanged(palaver: Palaver) -> None:
    """Where it is installed; it is not among what the tests install."""
    langchain = pytest.importorskip("langchain_openai")
    model = langchain.ChatOpenAI(
        base_url=f"{palaver.url}/v1", api_key="none", model=MODEL, max_tokens=16, temperature=0
    )
    assert model.invoke("Who are you?").content
    assert "".join(chunk.content for chunk in model.stream("Who are you?"))
