"""However a reply is cut into events, its stream adds up to what is shown whole."""

import asyncio
from typing import Any, Final

import orjson
from hypothesis import given
from hypothesis import strategies as st

from api.openai.chunks import ChunkStream
from api.openai.completion_objects import CompletionWriter
from api.openai.events import ResponseEvents
from api.openai.objects import ResponseShape, end_with_reply
from shared.wire.event import Event
from shared.wire.parts import EVENT_OF_PART, PartKind, ToolCall, order_of
from shared.wire.sampling import Sampling
from shared.wire.submission import Accepted
from shared.wire.turn_request import TurnRequest

JOB: Final = "0" * 32
ACCEPTED: Final = Accepted(job_id=JOB, conversation_id="1", model_name="m")
ECHO: Final[dict[str, Any]] = {
    "instructions": None,
    "previous_response_id": None,
    "store": True,
    "background": False,
    "truncation": "disabled",
    "metadata": {},
    "user": None,
}
CALLS: Final = st.builds(ToolCall, id=st.text(), name=st.text(), arguments=st.text())
PIECES: Final = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["text", "reasoning"]), st.text(min_size=1, max_size=5)),
        st.tuples(st.just("call"), CALLS.map(ToolCall.encode)),
    ),
    max_size=8,
)
Pieces = list[tuple[PartKind, str]]


def joined(pieces: Pieces, kind: PartKind) -> str:
    return "".join(text for each, text in pieces if each == kind)


def reply_of(pieces: Pieces) -> dict[str, Any]:
    calls = [ToolCall.decode(text).to_json() for kind, text in pieces if kind == "call"]
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    reply = {
        "reply": joined(pieces, "text"),
        "reasoning": joined(pieces, "reasoning"),
        "tool_calls": calls,
        "order": order_of(pieces),
        "finish_reason": "tool_calls" if calls else "stop",
        "usage": usage | {"prompt_tokens_details": {"cached_tokens": 0}},
        "window": {},
    }
    return {name: value for name, value in reply.items() if value or name == "reply"}


def events_of(pieces: Pieces) -> list[Event]:
    log = [("started", b"{}")]
    for kind, text in pieces:
        data = text.encode() if kind == "call" else orjson.dumps({"text": text})
        log.append((EVENT_OF_PART[kind], data))
    log.append(("completed", orjson.dumps(reply_of(pieces) | {"window": {}})))
    return [
        Event(id=f"1-{number}", kind=kind, data=data.decode())
        for number, (kind, data) in enumerate(log)
    ]


def writer() -> CompletionWriter:
    return CompletionWriter(id="c", created=1, model_name="m", include_usage=False)


def deltas_of(pieces: Pieces) -> list[dict[str, Any]]:
    translate = ChunkStream(writer(), 1).translator(0, ACCEPTED)

    async def translated() -> list[Any]:
        return [chunk for event in events_of(pieces) for chunk in await translate(event)]

    *chunks, done = asyncio.run(translated())
    assert done.data == b"[DONE]"
    return [orjson.loads(chunk.data)["choices"][0]["delta"] for chunk in chunks]


@given(PIECES)
def test_the_deltas_of_a_completion_add_up_to_its_message(pieces: Pieces) -> None:
    [choice] = writer().to_wire([reply_of(pieces)])["choices"]
    deltas = deltas_of(pieces)
    assert deltas[0]["role"] == "assistant"
    message: dict[str, Any] = {"content": "", "reasoning_content": "", "tool_calls": []}
    for delta in deltas:
        message["content"] += delta.get("content") or ""
        message["reasoning_content"] += delta.get("reasoning_content") or ""
        for call in delta.get("tool_calls", ()):
            if "id" in call:
                assert call["index"] == len(message["tool_calls"])
                message["tool_calls"].append({k: v for k, v in call.items() if k != "index"})
            else:
                function = message["tool_calls"][call["index"]]["function"]
                function["arguments"] += call["function"]["arguments"]
    for name, value in message.items():
        assert (choice["message"].get(name) or type(value)()) == value


@given(PIECES)
def test_the_events_of_a_response_add_up_to_its_output(pieces: Pieces) -> None:
    request = TurnRequest(
        prompt="",
        context=None,
        replace_from=None,
        sampling=Sampling(),
        echo=orjson.dumps(ECHO).decode(),
    )
    shape = ResponseShape(
        job_id=JOB, conversation_id="1", created_ms=0, request=request, model_name="m"
    )
    translator = ResponseEvents(shape)
    log = events_of(pieces)
    events = [event for entry in log for event in translator.from_number(entry, 0)]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    done = [each["item"] for each in events if each["type"] == "response.output_item.done"]
    status, end = end_with_reply(orjson.loads(log[-1].data), 1)
    assert done == events[-1]["response"]["output"] == shape.to_wire(status, end)["output"]
    assert len({item["id"] for item in done}) == len(done)
