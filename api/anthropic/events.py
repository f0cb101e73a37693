"""A turn's events as those of Anthropic's streams."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

import orjson
from falcon.asgi import SSEvent

from api.anthropic.errors import error_object
from api.anthropic.message import (
    SIGNATURE,
    MessageWriter,
    ending_of,
    input_of,
    text_block,
    tool_block,
    usage_of,
)
from api.http.errors import Problem
from api.live.asking import reply_of
from shared.wire.event import Event
from shared.wire.parts import ToolCall
from shared.wire.submission import Accepted


class MessageEvents:
    """Translates a turn's events: each piece of the reply belongs to a block of one kind."""

    def __init__(self, writer: MessageWriter, accepted: Accepted) -> None:
        self._writer = replace(writer, model_name=accepted.model_name)
        self._accepted = accepted
        self._has_begun = False
        self._open: Literal["text", "thinking"] | None = None
        self._index = 0

    async def __call__(self, event: Event) -> Iterable[SSEvent]:
        return [
            SSEvent(event=data["type"], data=orjson.dumps(data)) for data in self._translate(event)
        ]

    def _translate(self, event: Event) -> Iterator[dict[str, Any]]:
        if not self._has_begun:
            self._has_begun = True
            yield {"type": "message_start", "message": self._writer.head()}
            yield {"type": "ping"}
        match event.kind:
            case "token":
                yield from self._text(orjson.loads(event.data)["text"])
            case "reasoning":
                yield from self._thought(orjson.loads(event.data)["text"])
            case "call":
                yield from self._call(ToolCall.decode(event.data))
        if event.is_terminal:
            yield from self._end(event)

    def _text(self, text: str) -> Iterator[dict[str, Any]]:
        if not text:
            return
        if self._open != "text":
            yield from self._close()
            self._open = "text"
            yield self._start(text_block(""))
        yield self._delta(type="text_delta", text=text)

    def _thought(self, text: str) -> Iterator[dict[str, Any]]:
        if self._open != "thinking":
            yield from self._close()
            self._open = "thinking"
            yield self._start(self._writer.thinking_block(""))
        if self._writer.shows_thoughts:
            yield self._delta(type="thinking_delta", thinking=text)

    def _call(self, call: ToolCall) -> Iterator[dict[str, Any]]:
        yield from self._close()
        yield self._start(tool_block(call))
        yield self._delta(type="input_json_delta", partial_json=input_of(call))
        yield self._stop()

    def _close(self) -> Iterator[dict[str, Any]]:
        """End the open block, if there is one."""
        if self._open == "thinking":
            yield self._delta(type="signature_delta", signature=SIGNATURE)
        if self._open is not None:
            self._open = None
            yield self._stop()

    def _end(self, end: Event) -> Iterator[dict[str, Any]]:
        try:
            reply = orjson.loads(reply_of(self._accepted, end))
        except Problem as problem:
            yield error_object(problem)
            return
        yield from self._close()
        yield {"type": "message_delta", "delta": ending_of(reply), "usage": usage_of(reply)}
        yield {"type": "message_stop"}

    def _start(self, block: dict[str, Any]) -> dict[str, Any]:
        return {"type": "content_block_start", "index": self._index, "content_block": block}

    def _delta(self, **delta: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": self._index, "delta": delta}

    def _stop(self) -> dict[str, Any]:
        self._index += 1
        return {"type": "content_block_stop", "index": self._index - 1}
