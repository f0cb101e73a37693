"""A turn's events as those of OpenAI's responses."""

from collections.abc import Iterator
from typing import Any

import orjson

from api.openai.objects import (
    ResponseEnd,
    ResponseShape,
    end_with_reply,
    end_without_reply,
    output_text,
)
from shared.wire.event import Event, order


class ResponseEvents:
    """Translates a job's log to OpenAI's events.

    The log is append-only: whenever it is read, the same events get the same numbers.
    """

    def __init__(self, shape: ResponseShape) -> None:
        self._shape = shape
        self._number = 0
        self._text = ""
        self._is_announced = False
        self._is_started = False
        self._is_open = False

    def from_number(
        self, event: Event, first_number: int, usage: dict[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """The translations of one entry of the log that are numbered `first_number` and above.

        Once the log has expired, its last entry is all that is left. It gives fewer events than
        there were, so the last of them is sent whatever its number is.

        Args:
            usage: of a turn that ended without a reply.
        """
        has_expired = event.is_terminal and not self._is_announced
        translated: dict[str, Any] = {}
        for translated in self._translate(event, usage):
            if translated["sequence_number"] >= first_number:
                yield translated
        if has_expired and translated["sequence_number"] < first_number:
            yield translated | {"sequence_number": first_number}

    def _translate(self, event: Event, usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        if not self._is_announced:
            self._is_announced = True
            yield self._with_response("response.created", "queued")
            yield self._with_response("response.queued", "queued")
        if event.kind in ("started", "token", "completed") and not self._is_started:
            self._is_started = True
            yield self._with_response("response.in_progress", "in_progress")
        if event.kind == "token":
            yield from self._delta(orjson.loads(event.data)["text"])
        elif event.kind == "completed":
            yield from self._complete(orjson.loads(event.data), order(event.id)[0])
        elif event.is_terminal:
            yield from self._break_off(event, usage)

    def _open(self) -> Iterator[dict[str, Any]]:
        """Begin the item when its first text comes: a turn that fails before has none."""
        if not self._is_open:
            self._is_open = True
            item = self._shape.message(None, "in_progress")
            yield self._event("response.output_item.added", output_index=0, item=item)
            yield self._part("response.content_part.added", part=output_text(""))

    def _delta(self, text: str) -> Iterator[dict[str, Any]]:
        yield from self._open()
        self._text += text
        yield self._part("response.output_text.delta", delta=text, logprobs=[])

    def _complete(self, reply: dict[str, Any], finished_ms: int) -> Iterator[dict[str, Any]]:
        status, end = end_with_reply(reply, finished_ms)
        if not self._text and end.text:  # the log has expired
            yield from self._delta(end.text)
        yield from self._open()
        yield from self._close(reply["reply"], end.item_status)
        yield self._with_response(f"response.{status}", status, end)

    def _break_off(self, event: Event, usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        """It failed or was cancelled: what was written until then is kept."""
        end = end_without_reply(orjson.loads(event.data).get("error"), self._text, usage)
        if self._is_open:
            yield from self._close(self._text, end.item_status)
        kind = "response.failed" if event.kind == "failed" else "response.incomplete"
        yield self._with_response(kind, event.kind, end)

    def _close(self, text: str, status: str) -> Iterator[dict[str, Any]]:
        yield self._part("response.output_text.done", text=text, logprobs=[])
        yield self._part("response.content_part.done", part=output_text(text))
        item = self._shape.message(text, status)
        yield self._event("response.output_item.done", output_index=0, item=item)

    def _part(self, kind: str, **fields: Any) -> dict[str, Any]:
        where = {"item_id": self._shape.message_id, "output_index": 0, "content_index": 0}
        return self._event(kind, **where, **fields)

    def _with_response(
        self, kind: str, status: str, end: ResponseEnd | None = None
    ) -> dict[str, Any]:
        return self._event(kind, response=self._shape.to_wire(status, end))

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        event = {"type": kind, "sequence_number": self._number, **fields}
        self._number += 1
        return event
