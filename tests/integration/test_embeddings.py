"""`/v1/embeddings` around a scripted model, and what else a worker of such a model refuses."""

import asyncio
import base64
import json
import math
import struct
from typing import Any

import pytest

from api.http.errors import Problem
from api.openai.embeddings import embeddings_object
from api.openai.text_requests import EmbeddingsRequest
from shared.config import Settings
from tests.documented import commands_run_by
from tests.integration.bench import POOL, Bench
from tests.scripted import ScriptedEmbedder, ScriptedEngine
from tests.servers import Stack, running_stack


async def embedded(stack: Stack, value: Any, **fields: Any) -> dict[str, Any]:
    body = {"model": "any", "input": value, **fields}
    answer = await stack.client.post("/v1/embeddings", json=body)
    assert answer.status_code == 200, answer.text
    embeddings: dict[str, Any] = answer.json()
    return embeddings


async def refusal(stack: Stack, path: str, **body: Any) -> tuple[int, dict[str, Any]]:
    answer = await stack.client.post(path, json=body)
    problem = answer.json()
    return answer.status_code, problem.get("error", problem)


def vector(num_tokens: int) -> list[float]:
    """The scripted model's vector of a text with so many tokens."""
    angle = num_tokens / 1000
    return [*struct.unpack("<2f", struct.pack("<2f", math.cos(angle), math.sin(angle)))]


@pytest.mark.parametrize(
    ("value", "lengths"),
    [
        ("Hello", [7]),
        (["Hello", "Hi"], [7, 4]),
        ([5, 6, 7], [3]),
        ([[5, 6, 7], [8]], [3, 1]),
        (["Hi", [5, 6, 7]], [4, 3]),
    ],
    ids=["text", "texts", "token ids", "lists of token ids", "both"],
)
async def test_every_form_of_input_gives_a_vector_for_each_text(
    settings: Settings, value: Any, lengths: list[int]
) -> None:
    async with running_stack(settings, ScriptedEmbedder()) as stack:
        answer = await embedded(stack, value)
    assert answer["object"] == "list"
    assert answer["model"] == "embedder"
    assert answer["data"] == [
        {"object": "embedding", "index": index, "embedding": vector(length)}
        for index, length in enumerate(lengths)
    ]
    assert answer["usage"] == {"prompt_tokens": sum(lengths), "total_tokens": sum(lengths)}


async def test_base64_has_the_same_numbers(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEmbedder()) as stack:
        answer = await embedded(stack, "Hello", encoding_format="base64", dimensions=2, user="me")
    packed = base64.b64decode(answer["data"][0]["embedding"])
    assert list(struct.unpack("<2f", packed)) == vector(7)


async def test_many_texts_are_several_turns_and_one_answer(settings: Settings) -> None:
    texts = ["x" * (number % 7 + 1) for number in range(600)]
    embedder = ScriptedEmbedder()
    async with running_stack(settings, embedder) as stack:
        answer = await embedded(stack, texts)
        status, error = await refusal(
            stack, "/v1/embeddings", model="any", input=[*texts, "x" * 600]
        )
    assert [one["embedding"] for one in answer["data"]] == [vector(len(t) + 2) for t in texts]
    assert [one["index"] for one in answer["data"]] == list(range(600))
    assert answer["usage"]["prompt_tokens"] == sum(len(text) + 2 for text in texts)
    assert (status, error["code"]) == (400, "context_length_exceeded")
    assert "input[600] is 602 tokens" in error["message"]
    assert "512" in error["message"]


@pytest.mark.parametrize(
    "value",
    [
        "", [], [[]], ["", "a"], None, 5, {"text": "a"}, [True], [-1], [2**31], [1.5], ["a", 1],
        [["a"]], [[[1]]], ["a"] * 2049,
    ],
    ids=str,
)  # fmt: skip
async def test_what_is_no_input_is_refused_by_name(settings: Settings, value: Any) -> None:
    async with running_stack(settings, ScriptedEmbedder()) as stack:
        status, error = await refusal(stack, "/v1/embeddings", model="any", input=value)
    assert (status, error["param"]) == (400, "input")


async def test_the_documented_command_embeds(settings: Settings) -> None:
    [block] = commands_run_by("tests/integration/test_embeddings.py")
    async with running_stack(settings, ScriptedEmbedder()) as stack:
        line = " ".join(part.removesuffix("\\") for part in block.lines)
        assert "http://127.0.0.1:3000/" in line
        line = line.replace("http://127.0.0.1:3000/", str(stack.client.base_url.join("/")))
        process = await asyncio.create_subprocess_shell(line, stdout=asyncio.subprocess.PIPE)
        output, _ = await process.communicate()
    assert len(json.loads(output)["data"]) == 2


async def test_what_the_model_cannot_embed_is_refused_by_name(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEmbedder(window=8)) as stack:
        long = await refusal(stack, "/v1/embeddings", model="any", input=["a", "too long"])
        foreign = await refusal(stack, "/v1/embeddings", model="any", input=[5, 0x110000])
        cut = await refusal(stack, "/v1/embeddings", model="any", input="a", dimensions=1)
        other = await refusal(stack, "/v1/embeddings", model="any", input="a", encoding_format="x")
    assert (long[0], long[1]["code"]) == (400, "context_length_exceeded")
    assert "input[1] is 10 tokens" in long[1]["message"]
    assert (foreign[0], foreign[1]["code"]) == (400, "unusable_options")
    assert "token id 1114112" in foreign[1]["message"]
    assert (cut[0], cut[1]["param"]) == (400, "dimensions")
    assert "2 dimensions" in cut[1]["message"]
    assert (other[0], other[1]["param"]) == (400, "encoding_format")


async def test_a_model_that_embeds_refuses_to_chat_and_says_why(settings: Settings) -> None:
    messages = [{"role": "user", "content": "Hi"}]
    async with running_stack(settings, ScriptedEmbedder()) as stack:
        refusals = [
            await refusal(stack, "/", prompt="Hi"),
            await refusal(stack, "/v1/chat/completions", model="any", messages=messages),
            await refusal(stack, "/v1/completions", model="any", prompt="Hi"),
            await refusal(stack, "/v1/responses", model="any", input="Hi"),
            await refusal(stack, "/v1/messages", model="any", messages=messages, max_tokens=5),
        ]
        job = (await stack.client.post("/jobs", json={"prompt": "Hi"})).json()["job"]
        failed = (await stack.client.get(f"/jobs/{job}", params={"wait": 10})).json()
        still = await embedded(stack, "Hi")
    for number, (status, error) in enumerate(refusals):
        assert status == (422 if number == 0 else 400), error
        assert "makes embeddings" in (error.get("detail") or error["message"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "unusable_options")
    assert still["data"][0]["embedding"] == vector(4)


async def test_a_server_whose_model_chats_says_so(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        status, error = await refusal(stack, "/v1/embeddings", model="any", input="A")
    assert (status, error["code"]) == (400, "no_embeddings")


async def test_a_worker_whose_model_chats_refuses_to_embed(
    settings: Settings, bench: Bench
) -> None:
    # It was accepted for a worker that embeds, under the same name.
    await bench.redis.hset(bench.keys.pool(POOL), "capabilities", "embeddings")
    await bench.leave()
    turn = await bench.submit(to_embed=("A",))
    async with running_stack(settings, ScriptedEngine()) as stack:
        job = (await stack.client.get(f"/jobs/{turn.job_id}", params={"wait": 10})).json()
    assert (job["status"], job["error"]["code"]) == ("failed", "unusable_options")
    assert "makes no embeddings" in job["error"]["detail"]


async def test_the_model_is_announced_as_one_that_embeds(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEmbedder(window=512)) as stack:
        model = (await stack.client.get("/v1/models/embedder")).json()
    assert (model["capabilities"], model["context_length"]) == (["embeddings"], 512)


async def test_nothing_of_it_stays_in_redis(settings: Settings, bench: Bench) -> None:
    await bench.close()
    async with running_stack(settings, ScriptedEmbedder()) as stack:
        await embedded(stack, ["secret text"])
        kept = [key async for key in bench.redis.scan_iter(f"{bench.keys.namespace}:*")]
        stored = [str(await bench.redis.dump(key)) for key in kept if b"job:" in key.encode()]
    assert not any("secret text" in value for value in stored)
    assert not [key for key in kept if ":messages" in key or "conv:" in key]
    assert not await bench.leftovers()


async def test_a_client_that_leaves_ends_its_turn(settings: Settings, bench: Bench) -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    await bench.close()
    async with running_stack(settings, ScriptedEmbedder(hold=hold)) as stack:
        request = asyncio.create_task(embedded(stack, "Hi"))
        await begun.wait()
        request.cancel()
        async with asyncio.timeout(10):
            await ended.wait()
    assert not await bench.leftovers()


def test_dimensions_that_are_not_the_models_are_refused() -> None:
    packed = base64.b64encode(struct.pack("<2f", 0.5, -1.0)).decode()
    reply = {"embeddings": [packed], "usage": {"prompt_tokens": 4}}
    request = EmbeddingsRequest.model_validate({"model": "m", "input": "a", "dimensions": 3})
    with pytest.raises(Problem, match="dimensions"):
        embeddings_object("m", request, [reply])
