"""OpenAI's own client on `/v1/responses` and `/v1/conversations`: state that the server keeps."""

import json
import time
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai.types.responses import Response

from tests.e2e.processes import Palaver, running_palaver

MODEL = "gpt-4o-mini"


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


@pytest.fixture
def plain(palaver: Palaver) -> Iterator[httpx.Client]:
    with palaver.client() as client:
        yield client


def say(client: openai.OpenAI, text: str, **options: object) -> Response:
    answer = client.responses.create(
        model=MODEL, input=text, max_output_tokens=16, temperature=0, extra_body=options or None
    )
    assert isinstance(answer, Response)
    return answer


def number_of_turns(plain: httpx.Client, conversation: str) -> int:
    path = f"/conversations/{conversation.removeprefix('conv_')}"
    return int(plain.get(path).json()["turns"])


def test_a_response_and_how_it_is_found_again(client: openai.OpenAI) -> None:
    made = client.responses.create(
        model=MODEL,
        input="Who are you?",
        instructions="You are a lighthouse keeper.",
        max_output_tokens=16,
        metadata={"for": "the test"},
    )
    assert made.id.startswith("resp_")
    assert made.status in ("completed", "incomplete")
    assert made.output_text
    assert made.usage is not None
    assert made.usage.output_tokens <= 16
    assert made.metadata == {"for": "the test"}
    assert made.instructions == "You are a lighthouse keeper."
    assert client.responses.retrieve(made.id).output_text == made.output_text
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_a_reply_that_was_cut_short_says_so(client: openai.OpenAI) -> None:
    answer = say(client, "Tell me a long story.", ignore_eos=True)
    assert answer.status == "incomplete"
    assert answer.incomplete_details is not None
    assert answer.incomplete_details.reason == "max_output_tokens"


def test_the_next_response_sees_the_one_before(client: openai.OpenAI) -> None:
    first = say(client, "My name is Ada.")
    second = say(client, "What is my name?", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens > first.usage.input_tokens
    assert second.usage.input_tokens_details.cached_tokens >= first.usage.input_tokens


def test_going_on_behind_an_earlier_response_forks(client: openai.OpenAI) -> None:
    root = say(client, "Once upon a time")
    one = say(client, "there was a king.", previous_response_id=root.id)
    other = say(client, "there was a queen.", previous_response_id=root.id)
    again = say(client, "And then?", previous_response_id=one.id)
    both = [say(client, "End.", previous_response_id=last.id) for last in (again, other)]
    lengths = [answer.usage.input_tokens for answer in both if answer.usage is not None]
    assert lengths[0] > lengths[1], "one branch is a turn longer, neither has the other's"


def test_instructions_hold_for_one_response(client: openai.OpenAI) -> None:
    long = "You are a lighthouse keeper on a very small and very remote island. " * 6
    first = say(client, "Hello.", instructions=long)
    second = say(client, "Hello again.", previous_response_id=first.id)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.input_tokens < first.usage.input_tokens


def test_a_conversation_is_the_same_here_and_there(
    client: openai.OpenAI, plain: httpx.Client
) -> None:
    begun = plain.post("/", json={"prompt": "Hello.", "context": "Be brief.", "max_tokens": 8})
    name = f"conv_{begun.json()['id']}"
    say(client, "How are you?", conversation=name)
    last = plain.post("/", json={"prompt": "And now?", "id": begun.json()["id"], "max_tokens": 8})
    assert last.json()["window"]["turns_kept"] == 3
    items = client.conversations.items.list(name, order="asc").data
    assert [item.role for item in items if item.type == "message"] == ["user", "assistant"] * 3
    newest = client.conversations.items.list(name, limit=1)
    assert newest.data[0].id == items[-1].id
    assert newest.has_more
    newer = client.conversations.items.list(name, limit=2, after=items[4].id or "")
    assert [item.id for item in newer.data] == [items[3].id, items[2].id]
    with pytest.raises(openai.APIStatusError, match="after"):
        client.conversations.items.list(name, after="msg_none")
    behind = client.conversations.items.list(name, order="asc", after=items[3].id or "")
    assert [item.id for item in behind.data] == [item.id for item in items[4:]]


def test_conversations_are_made_labelled_and_deleted(
    client: openai.OpenAI, plain: httpx.Client
) -> None:
    made = client.conversations.create(metadata={"topic": "none"})
    assert made.id.startswith("conv_")
    answer = say(client, "Hello.", conversation=made.id)
    assert answer.conversation is not None
    assert answer.conversation.id == made.id
    assert number_of_turns(plain, made.id) == 1
    client.conversations.update(made.id, metadata={"topic": "greetings"})
    assert client.conversations.retrieve(made.id).metadata == {"topic": "greetings"}
    assert client.conversations.delete(made.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.conversations.retrieve(made.id)


def test_what_is_not_stored_is_nowhere(client: openai.OpenAI, plain: httpx.Client) -> None:
    conversation = client.conversations.create()
    first = say(client, "Hello.", conversation=conversation.id)
    secret = say(client, "Forget this.", previous_response_id=first.id, store=False)
    assert secret.output_text
    assert number_of_turns(plain, conversation.id) == 1
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(secret.id)
    with pytest.raises(openai.NotFoundError):
        say(client, "Go on.", previous_response_id=secret.id)


def test_a_stream_has_openais_events_in_order(client: openai.OpenAI) -> None:
    events = list(
        client.responses.create(model=MODEL, input="Hello.", max_output_tokens=16, stream=True)
    )
    assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events]
    assert kinds[:5] == [
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:-1] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
    ]
    assert kinds[-1] in ("response.completed", "response.incomplete")
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    last = events[-1]
    assert last.type in ("response.completed", "response.incomplete")
    assert "".join(deltas) == last.response.output_text


def test_a_background_response_is_polled_and_resumed(client: openai.OpenAI) -> None:
    made = client.responses.create(
        model=MODEL, input="Tell me of the sea.", max_output_tokens=40, background=True
    )
    assert made.status in ("queued", "in_progress", "completed", "incomplete")
    deadline = time.monotonic() + 60
    while (now := client.responses.retrieve(made.id)).status in ("queued", "in_progress"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    everything = list(client.responses.retrieve(made.id, stream=True))
    rest = list(client.responses.retrieve(made.id, stream=True, starting_after=5))
    assert [event.sequence_number for event in rest] == list(range(6, len(everything)))
    assert [event.type for event in rest] == [event.type for event in everything[6:]]
    last = everything[-1]
    assert last.type in ("response.completed", "response.incomplete")
    assert last.response.output_text == now.output_text


def test_a_background_response_is_cancelled(client: openai.OpenAI) -> None:
    made = client.responses.create(
        model=MODEL,
        input="Tell me everything.",
        max_output_tokens=300,
        background=True,
        extra_body={"ignore_eos": True},
    )
    cancelled = client.responses.cancel(made.id)
    assert cancelled.status == "cancelled"
    assert client.responses.retrieve(made.id).status == "cancelled"


def test_a_schema_is_followed(client: openai.OpenAI) -> None:
    answer = client.responses.create(
        model=MODEL,
        input="Yes or no?",
        max_output_tokens=40,
        text={
            "format": {
                "type": "json_schema",
                "name": "answer",
                "schema": {
                    "type": "object",
                    "properties": {"yes": {"type": "boolean"}},
                    "required": ["yes"],
                    "additionalProperties": False,
                },
            }
        },
    )
    assert set(json.loads(answer.output_text)) == {"yes"}


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools"),
        ({"reasoning": {"effort": "endless"}}, "reasoning"),
        ({"include": ["file_search_call.results"]}, "include"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].id"),
        ({"input": [{"type": "computer_call"}]}, "input[0].type"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(
    client: openai.OpenAI, options: dict[str, object], param: str
) -> None:
    with pytest.raises(openai.BadRequestError) as error:
        say(client, "Hello.", **options)
    assert error.value.param is not None
    assert error.value.param.startswith(param)


def test_a_conversation_longer_than_the_window(client: openai.OpenAI) -> None:
    """`auto` drops the oldest turns and says so; `disabled` is an error, and the default."""
    conversation = client.conversations.create().id
    text = "This is one of many long messages about nothing in particular. " * 4
    dropped = 0
    for _ in range(8):
        answer = say(client, text, conversation=conversation, truncation="auto")
        assert answer.model_extra is not None
        dropped = answer.model_extra["window"]["turns_dropped"]
    assert dropped > 0
    with pytest.raises(openai.BadRequestError) as error:
        say(client, text, conversation=conversation)
    assert error.value.code == "context_length_exceeded"


def test_an_unknown_response_cannot_be_gone_on_with(client: openai.OpenAI) -> None:
    for name in ("resp_" + "0" * 32, "nonsense"):
        with pytest.raises(openai.NotFoundError) as error:
            say(client, "Hello.", previous_response_id=name)
        assert error.value.code == "previous_response_not_found"


def test_an_input_is_counted_as_a_response_has_it(client: openai.OpenAI) -> None:
    first = say(client, "Who are you?")
    for options in ({}, {"instructions": "Be brief."}, {"previous_response_id": first.id}):
        counted = client.responses.input_tokens.count(
            model=MODEL, input="Hello.", extra_body=options
        )
        made = say(client, "Hello.", store=False, **options)
        assert made.usage is not None
        assert counted.input_tokens == made.usage.input_tokens
