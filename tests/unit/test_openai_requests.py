"""What OpenAI's bodies ask of a worker."""

from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.openai.chat_requests import ChatCompletionRequest, turn_requests
from api.openai.conversation_requests import NewItems, stored_messages
from api.openai.input_items import sealed, unsealed
from api.openai.output_items import items_of
from api.openai.response_requests import ResponsesRequest
from api.openai.responses import turn_request
from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool, ToolCall
from shared.wire.turn_request import ToolUse, TurnRequest

USER: Final = {"role": "user", "content": "Hello"}
PARAMETERS: Final = {"type": "object", "properties": {"word": {"type": "string"}}}
FUNCTION: Final = {"name": "look_up", "description": "Looks up.", "parameters": PARAMETERS}
OTHER: Final = {"name": "other", "strict": True}
LOOK_UP: Final = Tool(
    name="look_up", description="Looks up.", parameters=orjson.dumps(PARAMETERS).decode()
)
OTHER_TOOL: Final = Tool(name="other", parameters='{"type":"object","properties":{}}', strict=True)
CALL: Final = ToolCall(id="call_1", name="look_up", arguments='{"word": "sea"}')
JOB: Final = "0" * 32


def of_chat(**fields: Any) -> TurnRequest:
    """The turn of a completion, as a worker reads it."""
    body = {"model": "any", "messages": [USER], **fields}
    [turn] = turn_requests(ChatCompletionRequest.model_validate(body), 4096)
    return TurnRequest.decode(turn.encode())


def of_response(**fields: Any) -> TurnRequest:
    """The turn of a response, as a worker reads it."""
    body = {"model": "any", "input": "Hello", **fields}
    return TurnRequest.decode(turn_request(ResponsesRequest.model_validate(body), 4096).encode())


def both(**fields: Any) -> tuple[TurnRequest, TurnRequest]:
    """A turn of each dialect, whose tools differ in form only."""
    functions = fields.pop("functions", [])
    chat = [{"type": "function", "function": function} for function in functions]
    response = [{"type": "function", **function} for function in functions]
    return of_chat(tools=chat, **fields), of_response(tools=response, **fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ToolUse(tools=(LOOK_UP, OTHER_TOOL))),
        ({"tool_choice": "none"}, ToolUse(tools=(LOOK_UP, OTHER_TOOL), choice="none")),
        ({"tool_choice": "required"}, ToolUse(tools=(LOOK_UP, OTHER_TOOL), choice="required")),
        ({"parallel_tool_calls": False}, ToolUse(tools=(LOOK_UP, OTHER_TOOL), parallel=False)),
        (
            {"tool_choice": {"type": "function", "name": "other"}},
            ToolUse(tools=(LOOK_UP, OTHER_TOOL), choice=ToolUse.choice_of("other")),
        ),
        (
            {
                "tool_choice": {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "other"}],
                }
            },
            ToolUse(tools=(OTHER_TOOL,), choice="required"),
        ),
    ],
)
def test_tools_mean_the_same_in_both_dialects(fields: Any, expected: ToolUse) -> None:
    for turn in both(functions=[FUNCTION, OTHER], **fields):
        assert turn.tool_use == expected


def test_the_older_functions_are_tools_that_are_called_one_at_a_time() -> None:
    turn = of_chat(functions=[FUNCTION], function_call={"name": "look_up"})
    choice = ToolUse.choice_of("look_up")
    assert turn.tool_use == ToolUse(tools=(LOOK_UP,), choice=choice, parallel=False)
    assert of_chat(functions=[FUNCTION]).tool_use.choice == "auto"


@pytest.mark.parametrize(
    ("effort", "thinking"),
    [
        (None, "auto"),
        ("none", "off"),
        ("minimal", "low"),
        ("low", "low"),
        ("medium", "medium"),
        ("high", "high"),
        ("xhigh", "high"),
        ("max", "high"),
    ],
)
def test_efforts(effort: str | None, thinking: str) -> None:
    assert of_chat(reasoning_effort=effort).thinking == thinking
    assert of_response(reasoning={"effort": effort}).thinking == thinking


def test_a_templates_switches_are_passed_on() -> None:
    for turn in both(chat_template_kwargs={"enable_thinking": False, "style": {"a": [1]}}):
        assert orjson.loads(turn.template_options) == {
            "enable_thinking": False,
            "style": {"a": [1]},
        }
        assert turn.thinking == "off"
    assert (
        of_chat(reasoning_effort="high", chat_template_kwargs={"enable_thinking": False}).thinking
        == "high"
    )


def test_probabilities_are_asked_for_by_either_dialects_fields() -> None:
    assert of_chat().top_logprobs is of_response().top_logprobs is None
    assert of_chat(logprobs=False, top_logprobs=0).top_logprobs is None
    assert of_chat(logprobs=True).top_logprobs == 0
    assert of_chat(logprobs=True, top_logprobs=20).top_logprobs == 20
    include = ["message.output_text.logprobs"]
    assert of_response(include=include).top_logprobs == 0
    assert of_response(include=include, top_logprobs=5).top_logprobs == 5
    assert of_response(top_logprobs=5).top_logprobs == 5


def test_every_choice_is_a_turn_with_a_seed_of_its_own() -> None:
    body = {"model": "any", "messages": [USER], "n": 3, "seed": 2**53 - 1}
    turns = turn_requests(ChatCompletionRequest.model_validate(body), 4096)
    assert [turn.sampling.seed for turn in turns] == [2**53 - 1, 0, 1]


def test_the_messages_of_a_completion_keep_their_parts() -> None:
    function = {"name": CALL.name, "arguments": CALL.arguments}
    call = {"id": CALL.id, "type": "function", "function": function}
    turn = of_chat(
        messages=[
            {"role": "developer", "content": "Be kind.", "name": "boss"},
            USER,
            {"role": "assistant", "content": None, "tool_calls": [call], "reasoning": "Hm."},
            {"role": "tool", "tool_call_id": CALL.id, "content": [{"type": "text", "text": "9"}]},
            {"role": "assistant", "content": "9", "reasoning_content": "So."},
            {"role": "assistant", "function_call": function},
            {"role": "function", "name": "look_up", "content": None},
        ]
    )
    old = ToolCall(id="call_5", name=CALL.name, arguments=CALL.arguments)
    assert turn.messages == (
        ChatMessage(role="system", content="Be kind."),
        ChatMessage(role="user", content="Hello"),
        ChatMessage(role="assistant", content="", reasoning="Hm.", tool_calls=(CALL,)),
        ChatMessage(role="tool", content="9", call_id=CALL.id, name="look_up"),
        ChatMessage(role="assistant", content="9", reasoning="So."),
        ChatMessage(role="assistant", content="", tool_calls=(old,)),
        ChatMessage(role="tool", content="", call_id=old.id, name="look_up"),
    )


@pytest.mark.parametrize(
    ("sent", "text"),
    [("", ""), ('{"a": 1}', '{"a": 1}'), ({"a": 1}, '{"a":1}'), ({}, "{}"), (None, "{}")],
)
def test_arguments_are_text_however_a_client_sends_them(sent: Any, text: str) -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": sent}}
    turn = of_chat(messages=[{"role": "assistant", "tool_calls": [call]}, USER])
    assert turn.messages[0].tool_calls == (ToolCall(id="c", name="f", arguments=text),)


def test_items_of_one_reply_are_one_message() -> None:
    thought = {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "Hm."}]}
    call = {
        "type": "function_call",
        "call_id": CALL.id,
        "name": CALL.name,
        "arguments": CALL.arguments,
    }
    said = {"role": "assistant", "content": "Wait."}
    output = {"type": "function_call_output", "call_id": CALL.id, "output": "salty"}
    behind = {"role": "developer", "content": "Rhyme."}
    turn = of_response(input=[USER, thought, said, call, call, said, output, behind])
    assert (turn.prompt, turn.call_id) == ("salty", CALL.id)
    assert turn.earlier == (
        ChatMessage(role="user", content="Hello"),
        ChatMessage(role="assistant", content="Wait.", reasoning="Hm.", tool_calls=(CALL, CALL)),
        ChatMessage(role="assistant", content="Wait."),
        ChatMessage(role="system", content="Rhyme."),
    )


CALLS: Final = st.lists(
    st.builds(ToolCall, id=st.text(min_size=1), name=st.text(min_size=1), arguments=st.text()),
    max_size=3,
).map(tuple)
MESSAGES: Final = st.one_of(
    st.builds(ChatMessage, role=st.sampled_from(["user", "system"]), content=st.text(min_size=1)),
    st.builds(ChatMessage, role=st.just("tool"), content=st.text(), call_id=st.text(min_size=1)),
    st.builds(
        ChatMessage,
        role=st.just("assistant"),
        content=st.text(min_size=1),
        reasoning=st.text(),
        tool_calls=CALLS,
    ),
)


@given(st.lists(MESSAGES, min_size=1, max_size=5))
def test_messages_come_back_from_the_items_that_show_them(messages: list[ChatMessage]) -> None:
    items = [
        item
        for place, message in enumerate(messages)
        for item in items_of(JOB, f"i{place:04}", message)
    ][:20]
    read = stored_messages(JOB, NewItems.model_validate({"items": items}).items)
    shown = [
        item
        for place, message in enumerate(read)
        for item in items_of(JOB, f"i{place:04}", message.message)
    ]
    assert [without_id(item) for item in shown] == [without_id(item) for item in items]


def without_id(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name != "id"}


@given(st.text())
def test_a_seal_is_opened(thought: str) -> None:
    assert unsealed(sealed(thought)) == thought


@pytest.mark.parametrize("text", ["", "gAAAA", "palaver:", "palaver:?", "palaver:/w=="])
def test_what_others_have_sealed_stays_closed(text: str) -> None:
    assert unsealed(text) == ""
