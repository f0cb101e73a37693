"""What strangers may send to `POST /`, and what we tell ourselves through Redis."""

import json
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.ids import MAX_CONVERSATION
from shared.wire.reply import reply_object
from shared.wire.requests import ChatRequest
from shared.wire.sampling import Sampling
from shared.wire.timestamps import rfc3339
from shared.wire.turn_request import TurnRequest

texts = st.text(st.characters(codec="utf-8"))
optional_texts = st.none() | texts
samplings = st.builds(
    Sampling,
    temperature=st.floats(0, 2),
    top_p=st.floats(0, 1),
    min_p=st.floats(0, 1),
    typical_p=st.floats(0, 1, exclude_min=True),
    top_k=st.integers(0, 2**31 - 1),
    seed=st.integers(-(2**53), 2**53),
    max_tokens=st.integers(1, 10**6),
    stop=st.lists(texts.filter(bool).map(lambda text: text[:64]), max_size=8).map(tuple),
    repeat_penalty=st.floats(0, 2, exclude_min=True),
    presence_penalty=st.floats(-2, 2),
    frequency_penalty=st.floats(-2, 2),
    ignore_eos=st.booleans(),
)


def validated(**fields: Any) -> ChatRequest:
    """A request as the API validates it: from JSON, on a server that allows 4096 tokens."""
    body = orjson.loads(orjson.dumps({"prompt": "Hello", **fields}))
    return ChatRequest.model_validate(body, context={"max_tokens_limit": 4096})


def wrong_fields(body: dict[str, Any]) -> dict[str, str]:
    """The fields that are refused, by name, with their messages."""
    with pytest.raises(ValidationError) as refusal:
        ChatRequest.model_validate(body, context={"max_tokens_limit": 4096})
    return {".".join(map(str, item["loc"])): item["msg"] for item in refusal.value.errors()}


def test_no_length_is_too_large_to_be_stored() -> None:
    body = {"prompt": "Hello", "max_tokens": 10**30}
    request = ChatRequest.model_validate(body, context={"max_tokens_limit": 4096, "window": 3500})
    assert orjson.loads(orjson.dumps(request.sampling().stored()))["max_tokens"] > 3500


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("prompt", ""),
        ("prompt", " \n\t\u00a0"),
        ("prompt", 5),
        ("prompt", ["Hello"]),
        ("id", 0),
        ("id", -1),
        ("id", MAX_CONVERSATION + 1),
        ("id", 1.5),
        ("id", True),
        ("id", 2**64),
        ("id", "0"),
        ("id", "012"),
        ("id", "-5"),
        ("id", "+5"),
        ("id", " 5"),
        ("id", "5.0"),
        ("id", "1_000"),
        ("id", "٣"),
        ("id", ""),
        ("id", str(MAX_CONVERSATION + 1)),
        ("id", "9" * 17),
        ("context", 5),
        ("context", False),
        ("replace_from", 0),
        ("replace_from", -3),
        ("replace_from", "1"),
        ("replace_from", 1.5),
        ("replace_from", True),
        ("replace_from", 2**60),
        ("max_tokens", 0),
        ("max_tokens", -1),
        ("max_tokens", 4097),
        ("max_tokens", 1.5),
        ("max_tokens", "10"),
        ("max_tokens", True),
        ("temperature", -0.01),
        ("temperature", 2.01),
        ("temperature", "1"),
        ("temperature", True),
        ("temperature", [1]),
        ("top_p", -0.01),
        ("top_p", 1.01),
        ("top_p", False),
        ("top_p", "0.5"),
        ("min_p", -0.01),
        ("min_p", 1.01),
        ("min_p", True),
        ("typical_p", 0),
        ("typical_p", 1.01),
        ("typical_p", True),
        ("top_k", -1),
        ("top_k", 2**31),
        ("top_k", 40.5),
        ("top_k", "40"),
        ("top_k", True),
        ("seed", 1.5),
        ("seed", "7"),
        ("seed", True),
        ("seed", 2**53 + 1),
        ("seed", -(2**53) - 1),
        ("stop", 5),
        ("stop", True),
        ("stop", {"a": 1}),
        ("stop", ["x"] * 9),
        ("stop.0", ""),
        ("stop.0", "x" * 65),
        ("stop.0", [""]),
        ("stop.0", [5]),
        ("stop.1", ["x", "y" * 65]),
        ("repeat_penalty", 0),
        ("repeat_penalty", -1),
        ("repeat_penalty", 2.01),
        ("repeat_penalty", True),
        ("presence_penalty", -2.01),
        ("presence_penalty", 2.01),
        ("presence_penalty", True),
        ("frequency_penalty", -2.01),
        ("frequency_penalty", 2.01),
        ("frequency_penalty", "0"),
        ("ignore_eos", 1),
        ("ignore_eos", "true"),
    ],
)
def test_a_wrong_value_is_refused_under_its_fields_name(field: str, value: Any) -> None:
    body = {"prompt": "Hello", "id": 1, field.partition(".")[0]: value}
    assert list(wrong_fields(body)) == [field]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", 1),
        ("id", MAX_CONVERSATION),
        ("context", ""),
        ("context", "Be brief."),
        ("max_tokens", 1),
        ("max_tokens", 4096),
        ("temperature", 0),
        ("temperature", 2),
        ("top_p", 0),
        ("top_p", 1.0),
        ("min_p", 0.0),
        ("min_p", 1),
        ("typical_p", 0.001),
        ("typical_p", 1),
        ("top_k", 0),
        ("top_k", 2**31 - 1),
        ("seed", -1),
        ("seed", 2**53),
        ("repeat_penalty", 0.001),
        ("repeat_penalty", 2),
        ("presence_penalty", -2),
        ("presence_penalty", 2),
        ("frequency_penalty", -2.0),
        ("frequency_penalty", 2),
        ("ignore_eos", True),
        ("ignore_eos", False),
    ],
)
def test_the_limits_themselves_are_allowed(field: str, value: Any) -> None:
    assert getattr(validated(**{field: value}), field) == value


@pytest.mark.parametrize(
    "field", sorted(field.alias or name for name, field in ChatRequest.model_fields.items())
)
def test_null_is_refused_for_every_field(field: str) -> None:
    messages = wrong_fields({"prompt": "Hello", "id": 1, field: None})
    assert messages == {field: "must not be null; leave the field out instead"}


def test_the_prompt_is_required() -> None:
    assert list(wrong_fields({})) == ["prompt"]


def test_the_prompt_is_kept_exactly() -> None:
    assert validated(prompt="  Hello\n").prompt == "  Hello\n"


def test_unknown_fields_are_refused_by_name() -> None:
    messages = wrong_fields({"prompt": "Hello", "max_token": 5, "Prompt": "x"})
    assert sorted(messages) == ["Prompt", "max_token"]


def test_every_wrong_field_is_named_at_once() -> None:
    messages = wrong_fields({"prompt": "", "top_p": 2, "stop": ["", ""], "nonsense": 1})
    assert sorted(messages) == ["nonsense", "prompt", "stop.0", "stop.1", "top_p"]


@pytest.mark.parametrize("number", [1, 50, 9007199254740991])
def test_an_id_may_be_a_string_of_digits(number: int) -> None:
    assert validated(id=str(number)).id == validated(id=number).id == number


def test_stop_may_be_one_string_or_a_list() -> None:
    assert validated(stop="END").stop == ("END",)
    assert validated(stop=["a", "b"]).stop == ("a", "b")
    assert validated(stop=[]).stop == ()
    assert validated(stop=["x" * 64] * 8).stop == ("x" * 64,) * 8


def test_stop_strings_are_counted_in_characters() -> None:
    assert validated(stop="😀" * 64).stop == ("😀" * 64,)


def test_replace_from_needs_an_id() -> None:
    message = {"replace_from": "needs the id of a conversation"}
    assert wrong_fields({"prompt": "Hello", "replace_from": 1}) == message
    assert validated(id=5, replace_from=1).replace_from == 1


def test_a_wrong_id_is_not_called_missing() -> None:
    assert list(wrong_fields({"prompt": "Hello", "id": 0, "replace_from": 1})) == ["id"]


def test_the_limit_of_max_tokens_is_named() -> None:
    messages = wrong_fields({"prompt": "Hello", "max_tokens": 5000})
    assert messages == {"max_tokens": "must be at most 4096 on this server"}


def test_without_a_limit_any_max_tokens_is_allowed() -> None:
    assert ChatRequest.model_validate({"prompt": "Hello", "max_tokens": 10**9}).max_tokens == 10**9


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), float("nan")])
def test_numbers_are_finite(value: float) -> None:
    assert list(wrong_fields({"prompt": "Hello", "temperature": value})) == ["temperature"]


def test_sampling_keeps_the_sampling_options_alone() -> None:
    request = validated(id=5, context="Be brief.", temperature=0, stop="END", ignore_eos=True)
    assert request.sampling() == Sampling(temperature=0.0, stop=("END",), ignore_eos=True)


def test_the_json_schema_tells_what_is_allowed() -> None:
    properties = ChatRequest.model_json_schema()["properties"]
    assert json.dumps(properties["stop"]).count("64") == 2
    assert str(MAX_CONVERSATION) in json.dumps(properties["id"])


@given(prompt=texts, context=optional_texts, replace_from=st.none() | st.integers(1, 2**53),
       sampling=samplings)  # fmt: skip
def test_a_turn_request_survives_redis(
    prompt: str, context: str | None, replace_from: int | None, sampling: Sampling
) -> None:
    request = TurnRequest(
        prompt=prompt, context=context, replace_from=replace_from, sampling=sampling
    )
    decoded = TurnRequest.decode(request.encode().decode())
    assert decoded == request


def test_a_turn_request_stores_only_what_was_said() -> None:
    request = validated(temperature=0.5)
    encoded = TurnRequest(
        prompt="Hello", context=None, replace_from=None, sampling=request.sampling()
    ).encode()
    assert orjson.loads(encoded) == {"prompt": "Hello", "temperature": 0.5}


def test_empty_instructions_are_something_said() -> None:
    assert (
        TurnRequest.decode(
            TurnRequest(prompt="Hi", context="", replace_from=None, sampling=Sampling()).encode()
        ).context
        == ""
    )


def test_the_reply_object_echoes_instructions_only_when_sent() -> None:
    said = TurnRequest(prompt="Hi", context="Be kind.", replace_from=None, sampling=Sampling())
    silent = TurnRequest(prompt="Hi", context=None, replace_from=None, sampling=Sampling())
    expected = {"id": 50, "prompt": "Hi", "reply": "Hello", "job": "abc"}
    assert orjson.loads(reply_object("abc", "50", silent, b'{"reply":"Hello"}')) == expected
    assert orjson.loads(reply_object("abc", "50", said, '{"reply":"Hello"}')) == {
        **expected,
        "context": "Be kind.",
    }


def test_times_are_rfc_3339_in_utc_with_milliseconds() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert rfc3339(1_769_860_800_001) == "2026-01-31T12:00:00.001Z"


@given(st.integers(0, 7_000_000_000_000))
def test_times_keep_every_millisecond(timestamp_ms: int) -> None:
    moment = datetime.fromisoformat(rfc3339(timestamp_ms))
    assert moment.tzinfo == UTC
    assert round(moment.timestamp() * 1000) == timestamp_ms


def test_a_number_without_a_fraction_is_an_integer() -> None:
    """As in JSON Schema; JavaScript does not even know a difference."""
    request = ChatRequest.model_validate({"prompt": "x", "id": 7.0, "top_k": 40.0, "seed": -1.0})
    assert (request.id, request.top_k, request.seed) == (7, 40, -1)
    assert isinstance(request.top_k, int)
