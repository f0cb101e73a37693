"""Conversations as a client of each kind of server holds them."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import orjson

from bench.comparison.http import RequestFailed, post_events
from bench.comparison.workloads import Conversation, Workload

GREEDY: Final = {"temperature": 0, "ignore_eos": True}
AROUND_MESSAGE: Final = 4
BEFORE_REPLY: Final = 2
"""Tokens that ChatML adds to a role and a content, and to the role of a reply to come."""

Message = dict[str, str]
Count = Callable[[str], int]
"""The number of tokens in a text."""


@dataclass
class Turn:
    """One prompt and its reply, as the client saw them; times are of `perf_counter`."""

    sent: float = 0.0
    arrivals: list[float] = field(default_factory=list)
    text: str = ""
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    reply_tokens: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    def piece(self, text: str) -> None:
        """Some of the reply has come."""
        if text:
            self.arrivals.append(time.perf_counter())
            self.text += text
            self.begun.set()

    def usage(self, usage: dict[str, Any]) -> None:
        """The server's count, in the shape that OpenAI gave it."""
        details = usage.get("prompt_tokens_details") or {}
        self.prompt_tokens = usage["prompt_tokens"]
        self.cached_tokens = details.get("cached_tokens")
        self.reply_tokens = usage["completion_tokens"]

    @property
    def ttft(self) -> float:
        return self.arrivals[0] - self.sent

    @property
    def evaluated(self) -> int | None:
        """Prompt tokens that were not in the server's cache, where it says so."""
        if self.prompt_tokens is None or self.cached_tokens is None:
            return None
        return self.prompt_tokens - self.cached_tokens


class Dialogue(Protocol):
    """A conversation under way."""

    async def say(self, prompt: str, turn: Turn) -> None:
        """Send a prompt, and fill `turn` in while the reply comes.

        Raises:
            RequestFailed: no reply, or not one of the length that was asked for.
        """


MakeDialogue = Callable[[int, Workload, Conversation], Dialogue]
"""Begins a conversation with the server on a port."""


class PalaverDialogue:
    """Palaver keeps the conversation: the client knows nothing but its id."""

    def __init__(self, port: int, _workload: Workload, conversation: Conversation) -> None:
        self._port = port
        self._reply_tokens = conversation.reply_tokens
        self._which: dict[str, object] = {"context": conversation.system}

    async def say(self, prompt: str, turn: Turn) -> None:
        body = self._which | GREEDY | {"prompt": prompt, "max_tokens": self._reply_tokens}
        turn.sent = time.perf_counter()
        async with contextlib.aclosing(post_events(self._port, "/", body)) as events:
            async for event in events:
                if event.name == "token":
                    turn.piece(orjson.loads(event.data)["text"])
                elif event.name == "completed":
                    reply = orjson.loads(event.data)
                    turn.usage(reply["usage"])
                    self._which = {"id": reply["id"]}
                elif event.name == "failed":
                    raise RequestFailed(event.data)
        check_length(turn, self._reply_tokens)


class CompletionsDialogue:
    """The client keeps the conversation, sends all of it, and cuts it to fit the window.

    Args:
        count: tells when the conversation outgrows the window.
        options: further fields of every request.
    """

    def __init__(
        self,
        port: int,
        workload: Workload,
        conversation: Conversation,
        *,
        count: Count,
        options: dict[str, Any],
    ) -> None:
        self._port = port
        self._budget = workload.window - conversation.reply_tokens
        self._messages: list[Message] = [message("system", conversation.system)]
        self._count = count
        self._options = options | {
            "max_tokens": conversation.reply_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        self._reply_tokens = conversation.reply_tokens

    async def say(self, prompt: str, turn: Turn) -> None:
        self._messages.append(message("user", prompt))
        self._messages = trimmed(self._messages, self._budget, self._count)
        body = GREEDY | self._options | {"messages": self._messages}
        turn.sent = time.perf_counter()
        events = post_events(self._port, "/v1/chat/completions", body)
        async with contextlib.aclosing(events):
            async for event in events:
                self._read(event.data, turn)
        check_length(turn, self._reply_tokens)
        self._messages.append(message("assistant", turn.text))

    def _read(self, data: str, turn: Turn) -> None:
        if not data.startswith("{"):
            return
        chunk = orjson.loads(data)
        if "error" in chunk:
            raise RequestFailed(data)
        for choice in chunk["choices"]:
            turn.piece(choice["delta"].get("content") or "")
            if choice.get("finish_reason") == "length":
                # Not every server counts in streams; this one says that it wrote all we asked for.
                turn.reply_tokens = self._reply_tokens
        if chunk.get("usage"):
            turn.usage(chunk["usage"])


def message(role: str, content: str) -> Message:
    return {"role": role, "content": content}


def trimmed(messages: list[Message], budget: int, count: Count) -> list[Message]:
    """The messages that fit: the oldest exchanges are left out, the system prompt stays."""
    sizes = [count(one["role"]) + count(one["content"]) + AROUND_MESSAGE for one in messages]
    opening = count("assistant") + BEFORE_REPLY
    first = 1
    while sizes[0] + sum(sizes[first:]) + opening > budget and first + 2 < len(messages):
        first += 2
    return messages[:1] + messages[first:]


def check_length(turn: Turn, reply_tokens: int) -> None:
    """Raises: RequestFailed if the reply is not as long as the workload has it."""
    if turn.reply_tokens != reply_tokens:
        raise RequestFailed(f"a reply of {turn.reply_tokens} tokens instead of {reply_tokens}")
    if not turn.arrivals:
        raise RequestFailed("a reply without text")
