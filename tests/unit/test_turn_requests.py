"""Requests as jobs store them."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.wire.messages import ChatMessage
from shared.wire.parts import Tool, ToolCall
from shared.wire.publication import PieceRecord, arguments_of, merged
from shared.wire.sampling import Sampling
from shared.wire.turn_request import THINKING, ToolUse, TurnRequest

texts = st.text(st.characters(codec="utf-8"), max_size=20)
tools = st.lists(
    st.builds(Tool, name=texts, description=texts, parameters=texts, strict=st.booleans()),
    max_size=3,
).map(tuple)
messages = st.lists(
    st.builds(ChatMessage, role=st.sampled_from(["user", "assistant"]), content=texts), max_size=3
).map(tuple)


def request_with(**fields: Any) -> TurnRequest:
    values = {"prompt": "Hi", "context": None, "replace_from": None, "sampling": Sampling()}
    return TurnRequest(**values | fields)


@given(st.fixed_dictionaries({}, optional={
    "prompt": texts,
    "call_id": texts,
    "context": st.none() | texts,
    "replace_from": st.none() | st.integers(1, 2**53),
    "messages": messages,
    "earlier": messages,
    "is_plain": st.booleans(),
    "counts_only": st.booleans(),
    "to_embed": st.lists(
        texts | st.lists(st.integers(0, 99), max_size=3).map(tuple), max_size=3
    ).map(tuple),
    "texts_before": st.integers(0, 99),
    "json_schema": st.none() | texts,
    "instructions": st.none() | texts,
    "truncate": st.booleans(),
    "tool_use": st.builds(
        ToolUse,
        tools=tools,
        choice=st.sampled_from(["auto", "none", "required"]) | texts.map(ToolUse.choice_of),
        parallel=st.booleans(),
    ),
    "thinking": st.sampled_from(THINKING),
    "longest_thought": st.none() | st.integers(1, 10**6),
    "template_options": texts,
    "top_logprobs": st.none() | st.integers(0, 20),
    "echo": texts,
}))  # fmt: skip
def test_a_request_survives_redis(fields: dict[str, Any]) -> None:
    request = request_with(**fields)
    assert TurnRequest.decode(request.encode()) == request


@pytest.mark.parametrize(
    "fields",
    [
        {"call_id": "c"},
        {"is_plain": True},
        {"counts_only": True},
        {"to_embed": ("Hi",)},
        {"tool_use": ToolUse(tools=(Tool(name="f"),))},
        {"thinking": "off"},
        {"longest_thought": 9},
        {"template_options": "{}"},
        {"top_logprobs": 0},
        {"messages": (ChatMessage(role="assistant", content="Once"),)},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_what_older_versions_would_answer_wrongly_has_no_prompt_for_them(
    fields: dict[str, Any],
) -> None:
    stored = orjson.loads(request_with(**fields).encode())
    assert "prompt" not in stored
    assert stored["input"] == "Hi"


def test_no_earlier_version_can_read_that_a_reply_is_to_be_continued() -> None:
    """They look for a prompt under one of these names, and would answer an empty one."""
    request = request_with(prompt="", continues=True, thinking="off")
    stored = orjson.loads(request.encode())
    assert not stored.keys() & {"prompt", "input"}
    assert TurnRequest.decode(request.encode()) == request


def test_requests_of_earlier_versions_are_read() -> None:
    stored = (
        b'{"prompt":"Hi","context":"Be kind.","replace_from":3,"messages":[["user","A"]],'
        b'"earlier":[["assistant","B"]],"json_schema":"{}","logit_bias":[[7,1.5]],'
        b'"instructions":"C","truncate":false,"echo":"{}","max_tokens":9}'
    )
    assert TurnRequest.decode(stored) == request_with(
        context="Be kind.",
        replace_from=3,
        messages=(ChatMessage(role="user", content="A"),),
        earlier=(ChatMessage(role="assistant", content="B"),),
        json_schema="{}",
        logit_bias=((7, 1.5),),
        instructions="C",
        truncate=False,
        echo="{}",
        sampling=Sampling(max_tokens=9),
    )


CALL = ToolCall(id="c", name="f", arguments="{}")
pieces = st.lists(
    st.builds(
        PieceRecord,
        kind=st.sampled_from(["text", "reasoning"]),
        text=texts,
        token_ids=st.lists(st.integers(0, 2**31 - 1), max_size=3).map(tuple),
    )
    | st.just(PieceRecord(kind="call", text=CALL.encode(), token_ids=(1,))),
    max_size=8,
)


@given(pieces)
def test_a_piece_survives_the_log(published: list[PieceRecord]) -> None:
    arguments = arguments_of(published)
    kinds = {"token": "text", "reasoning": "reasoning", "call": "call"}
    read = [
        PieceRecord.from_event(
            kinds[arguments[f"event.{n}"]],  # type: ignore[arg-type]  # a kind
            arguments[f"piece.{n}"].decode(),
            tuple(int(i) for i in arguments[f"ids.{n}"].split(",") if i),
        )
        for n in range(1, arguments["pieces"] + 1)
    ]
    assert read == published


@given(pieces)
def test_merging_pieces_loses_no_text_and_no_id_and_joins_no_calls(
    published: list[PieceRecord],
) -> None:
    joined = merged(published)
    for kind in ("text", "reasoning"):
        texts_of = [[p.text for p in group if p.kind == kind] for group in (published, joined)]
        assert "".join(texts_of[0]) == "".join(texts_of[1])
    calls = [[p.text for p in group if p.kind == "call"] for group in (published, joined)]
    assert calls[0] == calls[1]
    ids = [[i for p in group for i in p.token_ids] for group in (published, joined)]
    assert ids[0] == ids[1]
