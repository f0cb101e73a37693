"""The sampling options are listed once: requests, the stored form and the engine follow."""

from dataclasses import fields
from typing import Any

import orjson
import pytest

from api.openai.chat_requests import ChatCompletionRequest
from api.openai.chat_requests import turn_requests as of_completion
from api.openai.response_requests import ResponsesRequest
from api.openai.responses import turn_request as of_response
from shared.wire.requests import ChatRequest
from shared.wire.sampling import FullSampling, Sampling, SharedSampling, default_of
from shared.wire.turn_request import TurnRequest
from worker.engine.interface import SamplingOptions
from worker.generation import sampling_options

ENDS_REPLIES = {"max_tokens", "stop"}
"""Options that the engine takes with the request."""
BESIDE = {"top_logprobs", "json_schema", "logit_bias"}
"""What the engine's options have beside those of a request's sampling."""
EVERY: dict[str, Any] = {
    "max_tokens": 7,
    "temperature": 0.5,
    "top_p": 0.6,
    "min_p": 0.1,
    "top_k": 5,
    "seed": 11,
    "stop": ["END"],
    "repeat_penalty": 1.5,
    "presence_penalty": 0.25,
    "frequency_penalty": -0.25,
    "ignore_eos": True,
    "typical_p": 0.7,
}


def of_engine(request: TurnRequest) -> dict[str, Any]:
    """What the engine gets, after the request was stored and read."""
    options = sampling_options(TurnRequest.decode(request.encode()))
    return {item.name: getattr(options, item.name) for item in fields(options)}


def drawn(*names: str) -> dict[str, Any]:
    return {name: EVERY[name] for name in names if name not in ENDS_REPLIES}


def test_the_engine_has_every_option_under_its_name() -> None:
    names = {item.name for item in fields(SamplingOptions)}
    assert names == set(Sampling.model_fields) - ENDS_REPLIES | BESIDE


def test_the_documented_defaults_are_the_engines() -> None:
    engine = SamplingOptions()
    for name in set(Sampling.model_fields) - ENDS_REPLIES:
        assert default_of(name) == getattr(engine, name), name


def test_every_option_has_a_value_here() -> None:
    assert set(EVERY) == set(Sampling.model_fields)


def test_every_option_of_post_reaches_the_engine() -> None:
    sampling = ChatRequest.model_validate({"prompt": "Hi", **EVERY}).sampling()
    request = TurnRequest(prompt="Hi", context=None, replace_from=None, sampling=sampling)
    assert drawn(*EVERY).items() <= of_engine(request).items()
    assert (request.sampling.max_tokens, request.sampling.stop) == (7, ("END",))


def test_every_option_of_a_chat_completion_reaches_the_engine() -> None:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], **EVERY}
    [request] = of_completion(ChatCompletionRequest.model_validate(body), 4096)
    assert drawn(*EVERY).items() <= of_engine(request).items()
    assert (request.sampling.max_tokens, request.sampling.stop) == (7, ("END",))


def test_the_shared_options_of_a_response_reach_the_engine() -> None:
    shared = {name: EVERY[name] for name in SharedSampling.model_fields}
    body = {"model": "m", "input": "Hi", "max_output_tokens": 7, **shared}
    request = of_response(ResponsesRequest.model_validate(body), 4096)
    assert drawn(*shared).items() <= of_engine(request).items()
    assert request.sampling.max_tokens == 7


@pytest.mark.parametrize(
    "name", sorted(set(FullSampling.model_fields) - set(SharedSampling.model_fields))
)
def test_a_response_takes_no_option_that_openais_does_not_have(name: str) -> None:
    body = {"model": "m", "input": "Hi", name: EVERY[name]}
    with pytest.raises(ValueError, match=name):
        ResponsesRequest.model_validate(body)


def test_a_request_is_stored_with_the_text_of_earlier_versions() -> None:
    """Idempotency keys compare it."""
    sampling = Sampling.model_validate(dict(reversed(EVERY.items())))
    request = TurnRequest(prompt="Hi", context=None, replace_from=None, sampling=sampling)
    assert request.encode() == orjson.dumps({"prompt": "Hi", **EVERY})


def test_every_option_is_described() -> None:
    for name, described in Sampling.model_json_schema()["properties"].items():
        assert described["description"], name
