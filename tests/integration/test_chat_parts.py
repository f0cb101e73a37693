"""Chat completions with thoughts, calls, probabilities and several choices."""

import asyncio
from typing import Any, Final

import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from shared.config import Settings
from shared.wire.parts import ToolCall
from tests.scripted import ScriptedEngine, failing
from tests.servers import Stack, Valkey, make_settings, running_stack
from tests.sse import data_of
from worker.engine.interface import Part

USER: Final = {"role": "user", "content": "Hello"}
TOOL: Final = {"type": "function", "function": {"name": "look_up", "parameters": {}}}
SEA: Final = ToolCall(id="call_sea", name="look_up", arguments='{"word": "sea"}')
SKY: Final = ToolCall(id="call_sky", name="look_up", arguments='{"word": "sky"}')
CALLS: Final = [
    Part("reasoning", "Both."),
    Part("text", "A moment."),
    Part("call", SEA.encode()),
    Part("call", SKY.encode()),
]


def shown(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


async def complete(stack: Stack, **fields: Any) -> dict[str, Any]:
    answer = await stack.client.post(
        "/v1/chat/completions", json={"model": "any", "messages": [USER], **fields}
    )
    assert answer.status_code == 200, answer.text
    ChatCompletion.model_validate_json(answer.content, strict=True)
    return dict(answer.json())


async def chunks(stack: Stack, **fields: Any) -> list[dict[str, Any]]:
    body = {"model": "any", "messages": [USER], "stream": True, **fields}
    answer = await stack.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.text.endswith("data: [DONE]\n\n")
    pieces = data_of(answer.content.replace(b"data: [DONE]", b""))
    for piece in pieces:
        ChatCompletionChunk.model_validate(piece, strict=True)
    return pieces


def deltas(pieces: list[dict[str, Any]], index: int = 0) -> list[dict[str, Any]]:
    return [
        choice["delta"]
        for piece in pieces
        for choice in piece["choices"]
        if choice["index"] == index
    ]


async def test_thoughts_and_calls_have_members_of_their_own(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: CALLS)) as stack:
        answer = await complete(stack, tools=[TOOL])
    [choice] = answer["choices"]
    assert choice["message"] == {
        "role": "assistant",
        "content": "A moment.",
        "refusal": None,
        "reasoning_content": "Both.",
        "tool_calls": [shown(SEA), shown(SKY)],
    }
    assert choice["finish_reason"] == "tool_calls"
    details = answer["usage"]["completion_tokens_details"]
    assert details == {"reasoning_tokens": len("Both.")}


async def test_a_message_of_calls_alone_has_no_content(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: CALLS[2:])) as stack:
        answer = await complete(stack, tools=[TOOL])
    assert answer["choices"][0]["message"]["content"] is None


async def test_a_stream_has_a_delta_for_each_part(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: CALLS)) as stack:
        pieces = await chunks(stack, tools=[TOOL])
    first, *parts, last = deltas(pieces)
    assert first == {"role": "assistant", "content": None}
    assert parts[:2] == [{"reasoning_content": "Both."}, {"content": "A moment."}]
    assert parts[2:] == [
        {"tool_calls": [part]}
        for index, call in enumerate((SEA, SKY))
        for part in (
            {
                "index": index,
                "id": call.id,
                "type": "function",
                "function": {"name": "look_up", "arguments": ""},
            },
            {"index": index, "function": {"arguments": call.arguments}},
        )
    ]
    assert last == {}
    assert pieces[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_older_clients_get_a_function_call(settings: Settings) -> None:
    fields = {"functions": [TOOL["function"]], "function_call": "auto"}
    engine = ScriptedEngine(lambda _: CALLS[2:3])
    async with running_stack(settings, engine) as stack:
        answer = await complete(stack, **fields)
        pieces = await chunks(stack, **fields)
    [choice] = answer["choices"]
    called = {"name": "look_up", "arguments": SEA.arguments}
    assert choice["message"]["function_call"] == called
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == pieces[-1]["choices"][0]["finish_reason"] == "function_call"
    assert deltas(pieces)[1:3] == [
        {"function_call": {"name": "look_up", "arguments": ""}},
        {"function_call": {"arguments": SEA.arguments}},
    ]


async def test_an_answer_can_be_sent_back_with_its_results(settings: Settings) -> None:
    engine = ScriptedEngine(lambda prompt: "Salty." if "<tool>" in prompt else CALLS[2:3])
    async with running_stack(settings, engine) as stack:
        answer = await complete(stack, tools=[TOOL])
        message = answer["choices"][0]["message"]
        result = {"role": "tool", "tool_call_id": SEA.id, "content": "salty"}
        final = await complete(stack, tools=[TOOL], messages=[USER, message, result])
    assert final["choices"][0]["message"]["content"] == "Salty."
    assert engine.prompts[-1].endswith("<tool>salty<end><assistant>")


async def test_a_begun_answer_is_gone_on_with(settings: Settings) -> None:
    engine = ScriptedEngine(lambda _: " am fine.")
    begun = {"role": "assistant", "content": "I"}
    async with running_stack(settings, engine) as stack:
        answer = await complete(stack, messages=[USER, begun])
    assert answer["choices"][0]["message"]["content"] == " am fine."


async def test_choices_are_turns_of_their_own_and_the_prompt_counts_once(
    settings: Settings,
) -> None:
    engine = ScriptedEngine(lambda _: "Yes.", piece_length=2)
    async with running_stack(settings, engine) as stack:
        answer = await complete(stack, n=3, seed=5)
        pieces = await chunks(stack, n=3, stream_options={"include_usage": True})
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    assert sorted(request.sampling.seed or 0 for request in engine.requests[:3]) == [5, 6, 7]
    usage = answer["usage"]
    assert usage["completion_tokens"] == 3 * len("Yes.")
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens"] == len(engine.requests[0].prompt)
    for index in range(3):
        parts = deltas(pieces, index)
        assert "".join(part.get("content", "") for part in parts) == "Yes."
        assert parts[-1] == {}
    *others, last = pieces
    assert last["usage"]["completion_tokens"] == 3 * len("Yes.")
    assert all(piece["usage"] is None for piece in others)
    assert len({piece["id"] for piece in pieces}) == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_a_client_that_leaves_ends_all_its_choices(settings: Settings, stream: bool) -> None:
    held = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(
        lambda _: "one two", piece_length=1, step=lambda done: held if done else None
    )
    body = {"model": "any", "messages": [USER], "n": 3, "stream": stream}
    async with running_stack(settings, engine) as stack:
        request = asyncio.create_task(stack.client.post("/v1/chat/completions", json=body))
        async with asyncio.timeout(20):
            while engine.running < 3:
                await asyncio.sleep(0.01)
            request.cancel()
            while engine.running:
                await asyncio.sleep(0.01)
    assert request.cancelled()


async def test_a_prompt_that_is_too_long_is_one_error_for_all_choices(
    settings: Settings,
) -> None:
    body = {"model": "any", "messages": [{"role": "user", "content": "x" * 9_000}], "n": 3}
    async with running_stack(settings, ScriptedEngine()) as stack:
        for streams in (False, True):
            answer = await stack.client.post(
                "/v1/chat/completions", json=body | {"stream": streams}
            )
            assert answer.status_code == 400
            assert answer.json()["error"]["code"] == "context_length_exceeded"


async def test_probabilities_are_those_of_the_text_whole_and_in_chunks(
    settings: Settings,
) -> None:
    engine = ScriptedEngine(lambda _: CALLS, piece_length=1)
    fields = {"tools": [TOOL], "logprobs": True, "top_logprobs": 2}
    async with running_stack(settings, engine) as stack:
        answer = await complete(stack, **fields)
        pieces = await chunks(stack, **fields)
        plain = await complete(stack, tools=[TOOL])
    whole = answer["choices"][0]["logprobs"]
    assert "".join(entry["token"] for entry in whole["content"]) == "A moment."
    assert whole["refusal"] is None
    assert whole["content"][0] == {
        "token": "A",
        "logprob": -0.5,
        "bytes": [65],
        "top_logprobs": [
            {"token": "a", "logprob": -1.0, "bytes": [97]},
            {"token": "b", "logprob": -2.0, "bytes": [98]},
        ],
    }
    lists = [choice["logprobs"] for piece in pieces for choice in piece["choices"]]
    assert [entry for each in lists if each for entry in each["content"]] == whole["content"]
    for piece in pieces:
        for choice in piece["choices"]:
            assert bool(choice["logprobs"]) == bool(choice["delta"].get("content"))
    assert plain["choices"][0]["logprobs"] is None


@pytest.mark.parametrize("stream", [False, True])
async def test_where_one_choice_is_refused_none_is_left_behind(
    valkey: Valkey, stream: bool
) -> None:
    settings = make_settings(valkey.url, PALAVER_QUEUE_LIMIT="2")
    held = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(lambda _: "ok", slots=1, step=lambda _: held)
    body = {"model": "any", "messages": [USER], "stream": stream}
    async with running_stack(settings, engine) as stack:
        running = asyncio.create_task(complete(stack))
        async with asyncio.timeout(20):
            while not engine.running:
                await asyncio.sleep(0.01)
        refused = await stack.client.post("/v1/chat/completions", json=body | {"n": 2})
        waiting = asyncio.create_task(complete(stack))
        await asyncio.sleep(0)
        held.set_result(None)
        answers = await asyncio.gather(running, waiting)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "queue_full")
    assert [answer["choices"][0]["message"]["content"] for answer in answers] == ["ok", "ok"]
    assert len(engine.prompts) == 2


async def test_a_choice_that_fails_ends_the_whole_stream(settings: Settings) -> None:
    held = asyncio.get_running_loop().create_future()
    turns = iter(("one two", failing))

    def script(prompt: str) -> str:
        turn = next(turns)
        return turn if isinstance(turn, str) else turn(prompt)

    engine = ScriptedEngine(script, piece_length=2, step=lambda done: held if done else None)
    body = {"model": "any", "messages": [USER], "n": 2, "stream": True}
    async with running_stack(settings, engine) as stack, asyncio.timeout(20):
        answer = await stack.client.post("/v1/chat/completions", json=body)
        while engine.running:
            await asyncio.sleep(0.01)
    assert answer.status_code == 200
    assert data_of(answer.content)[-1]["error"]["code"] == "generation_failed"
