"""Names what a client's next stateless request will begin with, so that it finds its worker.

Clients that keep a conversation themselves send it back whole, its last reply included, but not as
it was: thoughts are left out, texts trimmed, calls written anew, one message split into several. So
only what every client sends back counts, in a form of its own.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, Final

import orjson

from shared.wire.messages import ChatMessage, Role
from shared.wire.parts import ToolCall
from shared.wire.turn_request import TurnRequest

_DIGEST_BYTES: Final = 16


def digest_before(owner_id: str, request: TurnRequest) -> str:
    """Of everything up to the last reply that the client sends back; empty if there is none.

    A reply that the client has begun does not count: nobody has committed it.
    """
    history, _ = _begun(request)
    while history and history[-1].role != "assistant":
        history.pop()
    return _digest(owner_id, request, history) if history else ""


def digest_behind(owner_id: str, request: TurnRequest, reply: ChatMessage) -> str:
    """Of everything that the client will have when it has got this reply; empty if nobody knows."""
    history, begun = _begun(request)
    return _digest(owner_id, request, [*history, *begun, reply]) if history or begun else ""


def _begun(request: TurnRequest) -> tuple[list[ChatMessage], list[ChatMessage]]:
    """The messages, and apart from them the reply that the client has begun, if it has."""
    messages = _messages(request)
    if messages and request.messages and messages[-1].role == "assistant":
        return messages[:-1], messages[-1:]
    return messages, []


def _messages(request: TurnRequest) -> list[ChatMessage]:
    """All that the client sent; empty if it was no conversation."""
    if request.is_plain or request.counts_only or request.to_embed:
        return []
    if request.messages:
        return list(request.messages)
    opening = [ChatMessage(role="system", content=request.instructions or "")]
    role: Role = "tool" if request.call_id else "user"
    return [*opening, *request.earlier, ChatMessage(role=role, content=request.prompt)]


def _digest(owner_id: str, request: TurnRequest, messages: Iterable[ChatMessage]) -> str:
    tools = [tool.to_json() for tool in request.tool_use.tools]
    text = orjson.dumps([owner_id, tools, *_comparable(messages)])
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()


def _comparable(messages: Iterable[ChatMessage]) -> Iterator[tuple[str, str, list[Any]]]:
    """Role, text and calls; what the assistant says in several messages in a row is one."""
    numbered = enumerate(messages)
    for _, group in groupby(numbered, lambda item: -1 if item[1].role == "assistant" else item[0]):
        together = [message for _, message in group]
        text = "".join(message.content for message in together).strip()
        calls = [_call(call) for message in together for call in message.tool_calls]
        yield together[0].role, text, calls


def _call(call: ToolCall) -> tuple[str, str]:
    return call.name, _arguments(call.arguments)


def _arguments(text: str) -> str:
    """The JSON of a call's arguments in one way of writing it; other text as it is."""
    if not text.strip():
        return "{}"
    try:
        return orjson.dumps(orjson.loads(text), option=orjson.OPT_SORT_KEYS).decode()
    except (ValueError, TypeError):
        return text.strip()
