"""`/v1/completions` and `/v1/models`."""

from typing import Any

import orjson
import pytest

from api.openai.text_requests import CompletionRequest
from shared.config import Settings
from shared.wire.worker_report import WorkerReport
from tests.scripted import ScriptedEngine
from tests.servers import Stack, running_stack

PROMPT = {"model": "any", "prompt": "Once <end>", "max_tokens": 100}


def goes_on(prompt: str) -> str:
    return f"{prompt}."


async def created(stack: Stack, body: dict[str, Any]) -> dict[str, Any]:
    answer = await stack.client.post("/v1/completions", json=body)
    assert answer.status_code == 200, answer.text
    completion: dict[str, Any] = answer.json()
    return completion


async def streamed(stack: Stack, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The chunks of a stream that ends as it should."""
    answer = await stack.client.post("/v1/completions", json=body | {"stream": True})
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if "data: " in line]
    assert lines.pop() == "[DONE]"
    return list(map(orjson.loads, lines))


async def test_a_text_is_continued_without_a_template(settings: Settings) -> None:
    engine = ScriptedEngine(goes_on)
    async with running_stack(settings, engine) as stack:
        completion = await created(stack, PROMPT)
    assert engine.prompts == ["Once <end>"]
    assert len(engine.requests[0].prompt) == len("Once <end>"), "no control token arises"
    assert completion["object"] == "text_completion"
    assert completion["choices"] == [
        {"index": 0, "text": "Once <end>.", "logprobs": None, "finish_reason": "stop"}
    ]
    assert completion["usage"]["prompt_tokens"] == len("Once <end>")


async def test_choices_stand_in_the_order_of_their_prompts(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(goes_on, piece_length=2)) as stack:
        body = PROMPT | {"prompt": ["A", "BC"], "n": 2}
        whole = await created(stack, body)
        chunks = await streamed(stack, body | {"stream_options": {"include_usage": True}})
    assert [choice["text"] for choice in whole["choices"]] == ["A.", "A.", "BC.", "BC."]
    assert whole["usage"]["prompt_tokens"] == 3
    assert whole["usage"]["completion_tokens"] == 10
    texts = ["", "", "", ""]
    for chunk in chunks[:-1]:
        (choice,) = chunk["choices"]
        texts[choice["index"]] += choice["text"]
    assert texts == ["A.", "A.", "BC.", "BC."]
    assert chunks[-1]["usage"] == whole["usage"]


async def test_a_completion_is_short_unless_more_is_asked_for(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: "x" * 100)) as stack:
        completion = await created(stack, {"model": "any", "prompt": "A"})
    (choice,) = completion["choices"]
    assert (len(choice["text"]), choice["finish_reason"]) == (16, "length")


async def test_biases_reach_the_model_and_are_not_stored_unless_there_are_some(
    settings: Settings,
) -> None:
    engine = ScriptedEngine(goes_on)
    async with running_stack(settings, engine) as stack:
        await created(stack, PROMPT | {"logit_bias": {"7": -100, "9": 0.5}})
        await created(stack, PROMPT)
    biases = [request.sampling.logit_bias for request in engine.requests]
    assert biases == [((7, -100.0), (9, 0.5)), ()]
    [turn] = CompletionRequest.model_validate(PROMPT).turns(4096)
    assert b"logit_bias" not in turn.encode()


async def test_best_of_may_say_what_n_says(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(goes_on)) as stack:
        for fields in ({"best_of": 1}, {"n": 2, "best_of": 2}):
            completion = await created(stack, PROMPT | fields)
            assert len(completion["choices"]) == fields.get("n", 1)


async def test_probabilities_are_columns_whose_offsets_go_on(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(goes_on, piece_length=1)) as stack:
        body = PROMPT | {"prompt": "AB", "logprobs": 2}
        whole = (await created(stack, body))["choices"][0]["logprobs"]
        chunks = await streamed(stack, body)
    assert whole["tokens"] == ["A", "B", "."]
    assert whole["token_logprobs"] == [-0.5] * 3
    assert list(whole["top_logprobs"][0]) == ["a", "b"]
    assert whole["text_offset"] == [0, 1, 2]
    pieces = [chunk["choices"][0]["logprobs"] for chunk in chunks]
    offsets = [offset for piece in pieces if piece for offset in piece["text_offset"]]
    assert offsets == whole["text_offset"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"echo": True}, "echo"),
        ({"suffix": "x"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"best_of": 1, "n": 2}, "best_of"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"7": 101}}, "logit_bias"),
        ({"logit_bias": {"7": True}}, "logit_bias"),
        ({"logit_bias": {str(token): 1 for token in range(1025)}}, "logit_bias"),
        ({"prompt": [1, 2]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ["A", "B"], "n": 5}, "n"),
        ({"n": 9}, "n"),
        ({"logprobs": 6}, "logprobs"),
        ({"tools": [{}]}, "tools"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_a_completion_cannot_have_is_refused_by_name(
    settings: Settings, change: dict[str, Any], field: str
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        answer = await stack.client.post("/v1/completions", json=PROMPT | change)
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"].partition("[")[0] == field


async def test_a_model_tells_what_it_can_do(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(), ScriptedEngine()) as stack:
        (model,) = (await stack.client.get("/v1/models")).json()["data"]
        same = (await stack.client.get("/v1/models/scripted")).json()
        other = await stack.client.get("/v1/models/other")
    assert model == same
    assert model["id"] == "scripted"
    assert model["context_length"] == model["max_model_len"] == 3500
    assert (model["owned_by"], model["workers"]) == ("palaver", 2)
    assert "chat" in model["capabilities"]
    assert (other.status_code, other.json()["error"]["code"]) == (404, "model_not_found")


def test_a_worker_of_an_older_version_chats() -> None:
    assert WorkerReport.decode({}).capabilities == ("chat",)
    report = WorkerReport(capabilities=("chat", "tools"))
    stored = {name: str(value) for name, value in report.encode().items()}
    assert WorkerReport.decode(stored).capabilities == ("chat", "tools")
