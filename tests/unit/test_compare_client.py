"""The comparison's clients: what they read, and what a stateless one leaves out."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from bench.comparison.dialogues import CompletionsDialogue, PalaverDialogue, Turn, message, trimmed
from bench.comparison.http import RequestFailed, post_events
from bench.comparison.workloads import Conversation, Workload

CONVERSATION = Conversation("Be brief.", ("One?", "Two?"), reply_tokens=2)
WORKLOAD = Workload("test", "", (CONVERSATION,), window=1000)

Answer = Callable[[dict[str, Any]], list[bytes]]
"""From a request's body to the chunks of the answer."""


@asynccontextmanager
async def serving(answer: Answer, head: bytes = b"HTTP/1.1 200 OK\r\n") -> AsyncIterator[int]:
    """A server that answers each request in the chunks given, however they cut the events."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        length = int(request.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        body = orjson.loads(await reader.readexactly(length))
        writer.write(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for chunk in [*answer(body), b""]:
            writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(respond, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def sse(data: object, kind: str = "") -> bytes:
    event = f"event: {kind}\n".encode() if kind else b""
    return event + b"data: " + orjson.dumps(data) + b"\n\n"


async def test_events_are_put_together_from_any_chunks() -> None:
    async with serving(lambda _: [b"data: 1\n\nda", b"ta: 2\n\n: ping\r\n\r\ndata: 3\n\n"]) as port:
        events = [event.data async for event in post_events(port, "/", {})]
    assert events == ["1", "2", "3"]


async def test_another_answer_than_200_is_said() -> None:
    async with serving(lambda _: [], b"HTTP/1.1 503 Busy\r\n") as port:
        with pytest.raises(RequestFailed, match="503"):
            [event async for event in post_events(port, "/", {})]


async def test_palaver_is_told_the_context_once_and_then_the_id() -> None:
    bodies: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> list[bytes]:
        bodies.append(body)
        usage = {
            "prompt_tokens": 10,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 6},
        }
        return [
            sse({"job": "j"}, "queued"),
            sse({"text": "Yes"}, "token") + sse({"id": 5, "usage": usage}, "completed"),
        ]

    async with serving(answer) as port:
        dialogue = PalaverDialogue(port, WORKLOAD, CONVERSATION)
        turns = [Turn(), Turn()]
        for prompt, turn in zip(CONVERSATION.prompts, turns, strict=True):
            await dialogue.say(prompt, turn)
    assert [body.get("context") for body in bodies] == ["Be brief.", None]
    assert [body.get("id") for body in bodies] == [None, 5]
    assert (turns[1].text, turns[1].evaluated, len(turns[1].arrivals)) == ("Yes", 4, 1)


async def test_a_stateless_client_sends_back_what_the_engine_said() -> None:
    bodies: list[dict[str, Any]] = []

    def answer(body: dict[str, Any]) -> list[bytes]:
        bodies.append(body)
        return [
            sse({"choices": [{"delta": {"role": "assistant", "content": None}}]}),
            sse({"choices": [{"delta": {"content": "Yes"}}]}),
            sse({"choices": [{"delta": {}, "finish_reason": "length"}]}),
            b"data: [DONE]\n\n",
        ]

    async with serving(answer) as port:
        dialogue = CompletionsDialogue(port, WORKLOAD, CONVERSATION, count=len, options={"seed": 1})
        for prompt in CONVERSATION.prompts:
            await dialogue.say(prompt, turn := Turn())
    said = [entry["content"] for entry in bodies[1]["messages"]]
    assert said == ["Be brief.", "One?", "Yes", "Two?"]
    assert bodies[1]["seed"] == 1
    assert (turn.reply_tokens, turn.evaluated) == (2, None)


async def test_a_reply_of_another_length_is_a_failure() -> None:
    done = {"choices": [{"delta": {"content": "Yes"}, "finish_reason": "stop"}]}
    async with serving(lambda _: [sse(done)]) as port:
        dialogue = CompletionsDialogue(port, WORKLOAD, CONVERSATION, count=len, options={})
        with pytest.raises(RequestFailed, match="0 tokens instead of 2"):
            await dialogue.say("One?", Turn())


def history(*contents: str) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    turns = [message(roles[i % 2], content) for i, content in enumerate(contents)]
    return [message("system", "sss"), *turns]


@pytest.mark.parametrize(
    ("budget", "left"),
    [
        # Contents 18, roles 6 + 3 · 4 + 2 · 9, ChatML 6 · 4, and 9 + 2 before the reply.
        (89, ["sss", "1", "22", "333", "4444", "55555"]),
        (88, ["sss", "333", "4444", "55555"]),
        (65, ["sss", "333", "4444", "55555"]),
        (64, ["sss", "55555"]),
        (1, ["sss", "55555"]),
    ],
)
def test_the_oldest_exchanges_are_left_out_first(budget: int, left: list[str]) -> None:
    messages = history("1", "22", "333", "4444", "55555")
    assert [entry["content"] for entry in trimmed(messages, budget, len)] == left
