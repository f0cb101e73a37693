"""From a conversation whose last reply was cut to the turn that has that reply."""

from dataclasses import replace
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.continuing import continued_turn
from shared.wire.history import History
from shared.wire.messages import Role, StoredMessage
from shared.wire.parts import Tool, ToolCall
from shared.wire.sampling import Sampling
from shared.wire.turn_request import ToolUse, TurnRequest

REQUEST = TurnRequest(
    prompt="", context=None, replace_from=None, sampling=Sampling(max_tokens=7), continues=True
)
roles: st.SearchStrategy[Role] = st.sampled_from(["user", "assistant", "tool", "system"])
reasons = st.sampled_from(["", "stop", "length", "stopped", "tool_calls"])


def message(number: int, role: Role, **fields: Any) -> StoredMessage:
    return StoredMessage(
        number=number,
        role=role,
        content=f"Content {number}",
        timestamp_ms=1,
        tokens=1,
        job_id=f"job{number}",
        **fields,
    )


def history_of(messages: list[StoredMessage]) -> History:
    return History(
        context="",
        next_number=len(messages) + 1,
        offset=1,
        messages=tuple(messages),
        turns=len([one for one in messages if one.role == "assistant"]),
    )


@given(st.lists(st.tuples(roles, reasons, st.booleans()), max_size=6))
def test_a_reply_that_was_cut_is_continued_and_nothing_else(
    kinds: list[tuple[Role, str, bool]],
) -> None:
    messages = [
        message(
            number,
            role,
            finish_reason=reason if role == "assistant" else "",
            tool_calls=(ToolCall(id="c", name="f", arguments="{}"),) if has_calls else (),
            call_id="c" if role == "tool" else "",
        )
        for number, (role, reason, has_calls) in enumerate(kinds, 1)
    ]
    history = history_of(messages)
    request, before, standing = continued_turn(REQUEST, history)
    if standing is None:
        assert (request, before) == (REQUEST, history)
        is_cut = bool(messages) and messages[-1].can_continue
        assert not is_cut or len(messages) < 2 or messages[-2].role in ("assistant", "system")
        return
    assert standing.message == messages[-1]
    assert messages[-1].finish_reason in ("length", "stopped")
    assert standing.prompt_job_id == messages[-2].job_id
    assert (request.prompt, request.call_id) == (messages[-2].content, messages[-2].call_id)
    assert before == replace(
        history,
        messages=tuple(messages[:-2]),
        next_number=messages[-2].number,
        turns=history.turns - 1,
    )
    assert request.sampling == REQUEST.sampling


CUT = history_of([message(1, "user"), message(2, "assistant", finish_reason="length")])


def test_what_shaped_the_prompt_comes_from_the_request_before() -> None:
    first = TurnRequest(
        prompt="Content 1",
        context="Other.",
        replace_from=1,
        sampling=Sampling(max_tokens=1, stop=("x",)),
        instructions="Be brief.",
        tool_use=ToolUse(tools=(Tool(name="f"),)),
        json_schema="{}",
        thinking="low",
        longest_thought=9,
        template_options="{}",
    )
    request, _, _ = continued_turn(REQUEST, CUT, first.encode().decode())
    assert request == replace(
        first, context=None, replace_from=None, sampling=REQUEST.sampling, continues=True
    )
    chosen, _, _ = continued_turn(replace(REQUEST, thinking="off"), CUT, first.encode().decode())
    assert (chosen.thinking, chosen.longest_thought) == ("off", None)


@given(st.sampled_from(["", "{", "[]", "7", "null", '{"prompt":7,"tools":[{}]}', '{"timings":7}']))
def test_of_jobs_that_cannot_be_read_nothing_is_taken(stored: str) -> None:
    request, _, standing = continued_turn(REQUEST, CUT, stored, stored)
    assert request == replace(REQUEST, prompt="Content 1")
    assert standing is not None
    assert (standing.timings.queued_ms, standing.timings.generation_ms) == (0.0, 0.0)


def test_the_times_of_what_stands_are_known_while_its_job_is_kept() -> None:
    timings = {"queued_ms": 1.5, "prompt_ms": 2.5, "generation_ms": 3.5}
    _, _, standing = continued_turn(
        REQUEST, CUT, stored_result=orjson.dumps({"timings": timings}).decode()
    )
    assert standing is not None
    assert orjson.loads(orjson.dumps(standing.timings)) == timings
