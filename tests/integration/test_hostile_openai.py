"""Bodies under `/v1` that are made to break something: refused, never an error of the server."""

from typing import Any, Final

import orjson
import pytest

from shared.config import Settings
from tests.scripted import ScriptedEngine
from tests.servers import running_stack

USER: Final = {"role": "user", "content": "Hello"}
TOOL: Final = {"type": "function", "function": {"name": "f"}}
CALL: Final = {"id": "c", "type": "function"}
RESPONSE_TOOL: Final = {"type": "function", "name": "f"}


def nested(depth: int, inner: Any = 1) -> Any:
    value = inner
    for _ in range(depth):
        value = {"a": value}
    return value


DEEP: Final = nested(900)
CHAT: Final[dict[str, dict[str, Any]]] = {
    "options": {"chat_template_kwargs": DEEP},
    "parameters": {"tools": [{**TOOL, "function": {"name": "f", "parameters": DEEP}}]},
    "kind of tool": {"tools": [{"type": DEEP}]},
    "choice": {"tools": [TOOL], "tool_choice": DEEP},
    "kind of choice": {"tools": [TOOL], "tool_choice": {"type": DEEP}},
    "arguments": {
        "messages": [
            {
                "role": "assistant",
                "tool_calls": [{**CALL, "function": {"name": "f", "arguments": DEEP}}],
            },
            USER,
        ]
    },
    "kind of call": {
        "messages": [{"role": "assistant", "tool_calls": [{"id": "c", "type": DEEP}]}, USER]
    },
    "choices": {"n": 1e300},
    "alternatives": {"logprobs": True, "top_logprobs": -1},
}
RESPONSES: Final[dict[str, dict[str, Any]]] = {
    "options": {"chat_template_kwargs": DEEP},
    "parameters": {"tools": [{**RESPONSE_TOOL, "parameters": DEEP}]},
    "kind of tool": {"tools": [{"type": DEEP}]},
    "kind of choice": {"tools": [RESPONSE_TOOL], "tool_choice": {"type": DEEP}},
    "kind of item": {"input": [{"type": DEEP}]},
    "arguments": {
        "input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": DEEP}, USER]
    },
    "result": {"input": [{"type": "function_call_output", "call_id": "c", "output": DEEP}]},
    "thought": {"input": [{"type": "reasoning", "content": [DEEP]}, USER]},
    "reference": {"input": [{"type": "item_reference", "id": DEEP}]},
    "limit of calls": {"max_tool_calls": 1e300},
}


@pytest.mark.parametrize(("path", "bodies"), [("chat/completions", CHAT), ("responses", RESPONSES)])
async def test_what_is_too_deep_or_too_large_is_refused(
    settings: Settings, path: str, bodies: dict[str, dict[str, Any]]
) -> None:
    base = {"model": "any", "messages": [USER]} if path.startswith("chat") else {"input": "Hi"}
    async with running_stack(settings, ScriptedEngine()) as stack:
        for name, fields in bodies.items():
            body = as_json(base | fields)
            answer = await stack.client.post(f"/v1/{path}", content=body)
            assert answer.status_code == 400, (name, answer.text[:500])
            assert answer.json()["error"]["type"] == "invalid_request_error"


def as_json(body: dict[str, Any]) -> bytes:
    """Also what is nested deeper than orjson writes."""
    try:
        return orjson.dumps(body)
    except TypeError:
        mark = "<deep>"
        text = orjson.dumps(_marked(body, mark)).decode()
        return text.replace(f'"{mark}"', '{"a":' * 900 + "1" + "}" * 900).encode()


def _marked(value: Any, mark: str) -> Any:
    if value is DEEP:
        return mark
    if isinstance(value, dict):
        return {name: _marked(item, mark) for name, item in value.items()}
    return [_marked(item, mark) for item in value] if isinstance(value, list) else value


async def test_a_choice_is_repeated_without_what_else_stood_in_it(settings: Settings) -> None:
    choice = {"type": "function", "name": "f", "surplus": "x" * 1000}
    async with running_stack(settings, ScriptedEngine(lambda _: "ok")) as stack:
        body = {"input": "Hi", "tools": [RESPONSE_TOOL], "tool_choice": choice}
        answer = await stack.client.post("/v1/responses", json=body)
    assert answer.json()["tool_choice"] == {"type": "function", "name": "f"}
