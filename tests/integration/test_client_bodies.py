"""Bodies as real clients of OpenAI's API send them: much is written out that asks for nothing."""

import asyncio
from typing import Any, Final

import pytest

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import running_stack

USER: Final = {"role": "user", "content": "Hello"}
ANSWER: Final[dict[str, Any]] = {
    "role": "assistant",
    "content": "Hi.",
    "refusal": None,
    "annotations": [],
    "audio": None,
    "function_call": None,
    "tool_calls": None,
}
SCHEMA: Final = {
    "type": "json_schema",
    "json_schema": {
        "name": "Answer",
        "description": None,
        "strict": True,
        "schema": {
            "$defs": {"Item": {"type": "object", "properties": {"a": {"type": "integer"}}}},
            "type": "object",
            "properties": {"items": {"type": "array", "items": {"$ref": "#/$defs/Item"}}},
        },
    },
}
TOOL: Final[dict[str, Any]] = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks something up.",
        "parameters": {"type": "object", "properties": {"word": {"type": "string"}}},
        "strict": True,
    },
}
RESPONSE_TOOL: Final = {"type": "function", **TOOL["function"]}
CALLING: Final[dict[str, Any]] = {
    **ANSWER,
    "content": None,
    "tool_calls": [
        {
            "id": "call_1",
            "type": "function",
            "function": {"name": "look_up", "arguments": '{"word": "sea"}'},
        }
    ],
}
RESULT: Final = {"role": "tool", "tool_call_id": "call_1", "content": "salty"}
CALL_ITEM: Final = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "look_up",
    "arguments": '{"word": "sea"}',
    "status": "completed",
}
OUTPUT_ITEM: Final = {"type": "function_call_output", "call_id": "call_1", "output": "salty"}
THOUGHT: Final = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [],
    "content": [{"type": "reasoning_text", "text": "Hm."}],
    "encrypted_content": None,
    "status": None,
}
COMPLETIONS: Final[dict[str, dict[str, Any]]] = {
    "the plain curl": {},
    "the SDK's omitted fields as nulls": {"tools": None, "stop": None, "logit_bias": None},
    "a framework without tools": {"tools": [], "tool_choice": "auto"},
    "a framework with parallel calls off": {"parallel_tool_calls": False, "tools": []},
    "an agent with its name": {"messages": [{**USER, "name": "planner"}]},
    "a history with the SDK's own message": {"messages": [USER, ANSWER, USER]},
    "a history with parts": {"messages": [{**USER, "content": [{"type": "text", "text": "Hi"}]}]},
    "a history with a cache hint": {
        "messages": [{**USER, "cache_control": {"type": "ephemeral"}, "id": "msg_1"}]
    },
    "a chat page": {"metadata": None, "user": "alice", "n": 1, "seed": 7},
    "a benchmark": {"stream_options": None, "ignore_eos": True, "max_tokens": 3},
    "a router": {"service_tier": "auto", "store": True, "prompt_cache_key": "k"},
    "a guarded client": {"safety_identifier": "u1", "modalities": ["text"], "verbosity": "low"},
    "a reasoning client that does not": {"reasoning": {}, "reasoning_effort": None},
    "a language without empty objects": {
        "metadata": [],
        "logit_bias": [],
        "stream_options": [],
        "response_format": [],
        "tool_choice": [],
        "store": [],
    },
    "empty objects": {"response_format": {}, "tool_choice": {}, "stop": {}, "user": {}},
    "a null in its books": {"metadata": {"a": None, "b": "c"}},
    "whole numbers with a point": {"max_tokens": 100.0, "seed": 7.0},
    "a large seed": {"seed": 2**63 - 1},
    "a title": {"messages": [{"role": "system", "content": "A title for: Hello"}]},
    "a reminder behind the prompt": {
        "messages": [USER, {"role": "developer", "content": "Rhyme."}]
    },
    "a client without thoughts": {"reasoning_effort": "none", "top_logprobs": 0},
    "an older client": {"functions": [], "function_call": "auto", "max_tokens": 5},
    "a client that says a limit twice": {"max_tokens": 5, "max_completion_tokens": 5},
    "a longer reply than the window has room for": {"max_completion_tokens": 128_000},
    "a nested nothing": {"prediction": None, "web_search_options": {"user_location": None}},
    "a Python framework's nested model": {"response_format": SCHEMA},
    "a text format": {"response_format": {"type": "text"}, "top_logprobs": None},
    "tools": {"tools": [TOOL], "tool_choice": "auto", "parallel_tool_calls": True},
    "a tool without anything": {"tools": [{"type": "function", "function": {"name": "f"}}]},
    "a named tool": {
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "look_up"}},
    },
    "allowed tools": {
        "tools": [TOOL],
        "tool_choice": {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [{"type": "function", "function": {"name": "look_up"}}],
            },
        },
    },
    "a history with calls": {"tools": [TOOL], "messages": [USER, CALLING, RESULT]},
    "results as parts": {
        "messages": [USER, CALLING, {**RESULT, "content": [{"type": "text", "text": "salty"}]}]
    },
    "a history with calls that went unanswered": {"messages": [USER, CALLING, USER]},
    "the older functions": {
        "functions": [TOOL["function"]],
        "function_call": {"name": "look_up"},
        "messages": [
            USER,
            {**ANSWER, "content": None, "function_call": CALLING["tool_calls"][0]["function"]},
            {"role": "function", "name": "look_up", "content": "salty"},
        ],
    },
    "a thought that comes back": {
        "messages": [USER, {**ANSWER, "reasoning_content": "Hm.", "reasoning": "Hm."}, USER]
    },
    "efforts": {"reasoning_effort": "xhigh"},
    "a template's switches": {"chat_template_kwargs": {"enable_thinking": False}},
    "a begun answer": {"messages": [USER, {"role": "assistant", "content": "I"}]},
    "probabilities": {"logprobs": True, "top_logprobs": 2},
    "several choices": {"n": 2},
    "an editor that expects an answer": {"prediction": {"type": "content", "content": "Hi."}},
    "a client that plans its cache": {"prompt_cache_options": {"mode": "explicit", "ttl": "30m"}},
}
RESPONSES: Final[dict[str, dict[str, Any]]] = {
    "the plain curl": {},
    "an agent framework": {"include": [], "tools": [], "parallel_tool_calls": None},
    "an agent framework's settings": {"reasoning": {"effort": None, "summary": None}, "text": None},
    "a message with its type": {"input": [{"type": "message", **USER}]},
    "typed parts": {"input": [{**USER, "content": [{"type": "input_text", "text": "Hi"}]}]},
    "a part of an answer": {
        "input": [{**USER, "content": [{"type": "input_text", "text": "Hi", "annotations": []}]}]
    },
    "bookkeeping": {"service_tier": "default", "safety_identifier": "u", "prompt_cache_key": "k"},
    "a tone": {"text": {"format": {"type": "text"}, "verbosity": "medium"}},
    "a history that a client keeps": {
        "input": [
            {"role": "user", "content": "My name is Ada."},
            {
                "id": "msg_68e9",
                "type": "message",
                "status": "completed",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "Hi.", "annotations": [], "logprobs": []}
                ],
            },
            {"role": "user", "content": [{"type": "input_text", "text": "Who am I?"}]},
        ]
    },
    "a history with the short form of an answer": {
        "input": [USER, {"role": "assistant", "content": "Hi."}, USER]
    },
    "an answer with its phase": {
        "input": [USER, {**ANSWER, "phase": "final_answer", "status": None}, USER]
    },
    "instructions as items": {
        "input": [
            {"role": "system", "content": "Be kind."},
            {"role": "developer", "content": [{"type": "input_text", "text": "Be brief."}]},
            USER,
            {"role": "developer", "content": "Answer in English."},
            USER,
        ]
    },
    "several messages of the user in a row": {"input": [USER, USER, USER]},
    "an answer in front": {"input": [{"role": "assistant", "content": "Welcome!"}, USER]},
    "a reminder behind the prompt": {"input": [USER, {"role": "developer", "content": "Rhyme."}]},
    "a refusal in a history": {
        "input": [
            USER,
            {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]},
            USER,
        ]
    },
    "a language without empty objects": {
        "metadata": [],
        "text": [],
        "reasoning": [],
        "conversation": [],
        "instructions": [],
        "stream_options": [],
    },
    "whole numbers with a point": {"max_output_tokens": 100.0},
    "a tuned client": {"presence_penalty": 0.5, "frequency_penalty": 0, "top_logprobs": 0},
    "a client without thoughts": {"reasoning": {"effort": "none", "summary": "auto"}},
    "a stream without padding": {"stream_options": {"include_obfuscation": False}},
    "a limit of calls without tools": {"max_tool_calls": 5, "tool_choice": "auto"},
    "a longer reply than the window has room for": {"max_output_tokens": 32_000},
    "nulls all over": {"metadata": None, "previous_response_id": None, "max_tool_calls": None},
    "tools": {"tools": [RESPONSE_TOOL], "tool_choice": "auto", "parallel_tool_calls": False},
    "a named tool": {
        "tools": [RESPONSE_TOOL],
        "tool_choice": {"type": "function", "name": "look_up"},
    },
    "allowed tools": {
        "tools": [RESPONSE_TOOL],
        "tool_choice": {
            "type": "allowed_tools",
            "mode": "auto",
            "tools": [{"type": "function", "name": "look_up"}],
        },
    },
    "a history with thoughts and calls": {"input": [USER, THOUGHT, CALL_ITEM, OUTPUT_ITEM]},
    "a result as parts": {
        "input": [
            USER,
            CALL_ITEM,
            {**OUTPUT_ITEM, "output": [{"type": "input_text", "text": "salty"}]},
        ]
    },
    "efforts": {"reasoning": {"effort": "minimal", "summary": "concise"}},
    "an older name of the summary": {"reasoning": {"generate_summary": "auto"}},
    "a client that keeps thoughts": {"include": ["reasoning.encrypted_content"], "store": False},
    "probabilities": {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
    "a template's switches": {"chat_template_kwargs": {"enable_thinking": False}},
    "what happens anyway": {
        "reasoning": {"context": "auto", "mode": "standard", "effort": "max"},
        "background_options": {"completion_window": "soonest"},
        "tools": [{**RESPONSE_TOOL, "defer_loading": False, "allowed_callers": ["direct"]}],
    },
}


@pytest.mark.parametrize("stream", [False, True])
async def test_bodies_that_ask_for_nothing_more_are_answered(
    settings: Settings, stream: bool
) -> None:
    async with running_stack(settings, ScriptedEngine(lambda _: "ok")) as stack:
        for path, bodies, base in (
            ("/v1/chat/completions", COMPLETIONS, {"model": "any", "messages": [USER]}),
            ("/v1/responses", RESPONSES, {"model": "any", "input": "Hello"}),
        ):
            for client, fields in bodies.items():
                body = {**base, **fields, "stream": stream}
                answer = await stack.client.post(path, json=body)
                assert answer.status_code == 200, (client, answer.text)
                ending = ("[DONE]", "response.completed") if stream else ("ok", "ok")
                assert any(end in answer.text for end in ending), (client, answer.text)


@pytest.mark.parametrize(
    ("path", "fields", "param"),
    [
        ("chat/completions", {"tools": [{"type": "function"}]}, "tools[0].function"),
        ("chat/completions", {"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type"),
        ("chat/completions", {"tools": [TOOL, TOOL]}, "tools"),
        ("chat/completions", {"tools": [{**TOOL, "function": {"name": "a b"}}]}, "tools"),
        ("chat/completions", {"tool_choice": "required"}, "tool_choice"),
        ("chat/completions", {"tools": [TOOL], "tool_choice": "any"}, "tool_choice"),
        (
            "chat/completions",
            {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "x"}}},
            "tool_choice",
        ),
        ("chat/completions", {"tools": [TOOL], "functions": [TOOL["function"]]}, "functions"),
        ("chat/completions", {"function_call": {"name": "look_up"}}, "function_call"),
        ("chat/completions", {"n": 9}, "n"),
        ("chat/completions", {"n": 0}, "n"),
        ("chat/completions", {"top_logprobs": 3}, "top_logprobs"),
        ("chat/completions", {"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ("chat/completions", {"reasoning_effort": "most"}, "reasoning_effort"),
        ("chat/completions", {"chat_template_kwargs": {"messages": [1]}}, "chat_template_kwargs"),
        ("chat/completions", {"chat_template_kwargs": {"a b": 1}}, "chat_template_kwargs"),
        ("chat/completions", {"chat_template_kwargs": {"a": "x" * 20_000}}, "chat_template_kwargs"),
        ("chat/completions", {"messages": [USER, CALLING]}, None),
        ("chat/completions", {"messages": [USER, ANSWER], "response_format": SCHEMA}, None),
        (
            "chat/completions",
            {"messages": [USER, ANSWER], "tools": [TOOL], "tool_choice": "required"},
            None,
        ),
        (
            "chat/completions",
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages[0].tool_call_id",
        ),
        ("chat/completions", {"messages": [{"role": "assistant"}, USER]}, "messages[0].content"),
        ("responses", {"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ("responses", {"tools": [TOOL]}, "tools[0].name"),
        ("responses", {"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ("responses", {"input": [CALL_ITEM]}, "input"),
        ("responses", {"input": [USER, {"role": "assistant", "content": "Hi."}]}, "input"),
        (
            "responses",
            {"input": [{"type": "function_call_output", "output": "x"}]},
            "input[0].call_id",
        ),
        ("responses", {"top_logprobs": 21}, "top_logprobs"),
        ("responses", {"reasoning": {"effort": "most"}}, "reasoning.effort"),
        ("chat/completions", {"reasoning": {"effort": "high"}}, "reasoning"),
        ("chat/completions", {"messages": [{**USER, "tool_calls": [{"id": "1"}]}]}, "messages"),
        ("chat/completions", {"modalities": ["text", "audio"]}, "modalities"),
        ("responses", {"include": ["file_search_call.results"]}, "include"),
        ("chat/completions", {"prediction": {"type": "image"}}, "prediction.type"),
        (
            "chat/completions",
            {"web_search_options": {"search_context_size": "low"}},
            "web_search_options",
        ),
        ("responses", {"reasoning": {"context": "all_turns"}}, "reasoning.context"),
        ("responses", {"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        (
            "responses",
            {"background_options": {"completion_window": "8h"}},
            "background_options.completion_window",
        ),
        (
            "responses",
            {"tools": [{**RESPONSE_TOOL, "defer_loading": True}]},
            "tools[0].defer_loading",
        ),
        ("responses", {"context_management": [{"type": "compaction"}]}, "context_management"),
        ("responses", {"input": None}, "input"),
        ("chat/completions", {"messages": [{**USER, "role": "owner"}]}, "messages[0].role"),
        ("chat/completions", {"messages": [USER, {"role": "user"}]}, "messages[1].content"),
        (
            "chat/completions",
            {"messages": [{**USER, "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].type",
        ),
        (
            "chat/completions",
            {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
            "response_format.json_schema.name",
        ),
        ("chat/completions", {"response_format": {"type": "xml"}}, "response_format"),
        (
            "chat/completions",
            {"response_format": {**SCHEMA, "strict": True}},
            "response_format.strict",
        ),
        ("chat/completions", {"messages": "hi"}, "messages"),
        ("chat/completions", {"messages": ["hi"]}, "messages"),
        ("chat/completions", {"max_tokens": 5, "max_completion_tokens": 6}, None),
    ],
)
async def test_what_asks_for_something_that_is_not_there_is_refused_by_name(
    settings: Settings, path: str, fields: dict[str, Any], param: str | None
) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        body = {"model": "any", "messages": [USER]} if path.startswith("chat") else {"input": "Hi"}
        answer = await stack.client.post(f"/v1/{path}", json=body | fields)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param or error["param"].startswith(f"{param}[")
    assert error["code"] in ("unknown_parameter", "missing_required_parameter", "invalid_value")


async def test_metadata_is_cleared_by_null_and_kept_by_silence(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        made = await stack.client.post("/v1/conversations", json={"metadata": {"a": "b"}})
        path = f"/v1/conversations/{made.json()['id']}"
        assert (await stack.client.post(path, json={})).status_code == 400
        cleared = await stack.client.post(path, json={"metadata": None})
    assert cleared.status_code == 200
    assert cleared.json()["metadata"] == {}


async def test_an_overflow_is_told_in_the_words_that_clients_look_for(settings: Settings) -> None:
    async with running_stack(settings, ScriptedEngine()) as stack:
        body = {"model": "any", "messages": [{"role": "user", "content": "x" * 10_000}]}
        answer = await stack.client.post("/v1/chat/completions", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "context_length_exceeded"
    limit = settings.context_length
    expected = f"Input tokens exceed the configured limit of {limit} tokens"
    assert answer.json()["error"]["message"].startswith(expected)


@pytest.mark.slow
async def test_the_first_chunk_comes_with_the_first_token_and_nothing_holds_it_up(
    settings: Settings,
) -> None:
    held = asyncio.get_running_loop().create_future()
    engine = ScriptedEngine(lambda _: "ok", step=lambda _: held)
    body = {"model": "any", "messages": [USER], "stream": True}
    async with running_stack(settings, engine) as stack:
        request = stack.client.stream("POST", "/v1/chat/completions", json=body)
        async with asyncio.timeout(20), request as answer:
            assert answer.headers["x-accel-buffering"] == "no"
            lines = answer.aiter_lines()
            while not engine.running:
                await asyncio.sleep(0.01)
            first = await anext(lines)
            assert first.startswith(":"), "until the first token nothing but a sign of life"
            held.set_result(None)
            chunks = [line async for line in lines if line.startswith("data: {")]
    assert '"role":"assistant"' in chunks[0]
