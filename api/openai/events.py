"""A turn's events as those of OpenAI's responses."""

from collections.abc import Iterator
from typing import Any

import orjson

from api.openai.objects import ResponseEnd, ResponseShape, end_with_reply, end_without_reply
from api.openai.output_items import parts_of
from api.openai.part_events import PartEvents
from api.openai.part_list import PartList
from shared.wire.event import Event, order
from shared.wire.parts import PART_OF_EVENT


class ResponseEvents:
    """Translates a job's log to OpenAI's events.

    The log is append-only: whenever it is read, the same events get the same numbers.
    """

    def __init__(self, shape: ResponseShape) -> None:
        self._shape = shape
        self._number = 0
        self._written = PartList()
        self._parts = PartEvents(shape.output, self._written)
        self._is_announced = False
        self._is_started = False

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
        for fields in self._translate(event, usage):
            translated = {"type": fields["type"], "sequence_number": self._number, **fields}
            self._number += 1
            if translated["sequence_number"] >= first_number:
                yield translated
        if has_expired and translated["sequence_number"] < first_number:
            yield translated | {"sequence_number": first_number}

    def _translate(self, event: Event, usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        if not self._is_announced:
            self._is_announced = True
            yield self._with_response("response.created", "queued")
            yield self._with_response("response.queued", "queued")
        has_started = event.kind in ("started", "completed") or event.kind in PART_OF_EVENT
        if has_started and not self._is_started:
            self._is_started = True
            yield self._with_response("response.in_progress", "in_progress")
        if event.kind in PART_OF_EVENT:
            yield from self._parts.of_event(event)
        elif event.kind == "completed":
            yield from self._complete(orjson.loads(event.data), order(event.id)[0])
        elif event.is_terminal:
            yield from self._break_off(event, usage)

    def _complete(self, reply: dict[str, Any], finished_ms: int) -> Iterator[dict[str, Any]]:
        if not self._written.parts:  # the log has expired, or nothing was written
            for part in parts_of(reply):
                yield from self._parts.of_piece(part)
        status, end = end_with_reply(reply, finished_ms, self._written.parts)
        yield from self._parts.close(end.item_status)
        yield self._with_response(f"response.{status}", status, end)

    def _break_off(self, event: Event, usage: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
        """It failed or was cancelled: what was written until then is kept."""
        error = orjson.loads(event.data).get("error")
        end = end_without_reply(error, self._written.parts, usage)
        yield from self._parts.close(end.item_status)
        kind = "response.failed" if event.kind == "failed" else "response.incomplete"
        yield self._with_response(kind, event.kind, end)

    def _with_response(
        self, kind: str, status: str, end: ResponseEnd | None = None
    ) -> dict[str, Any]:
        return {"type": kind, "response": self._shape.to_wire(status, end)}
