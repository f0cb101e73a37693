"""The events with which a response's output items begin, grow and end."""

from collections.abc import Iterator
from typing import Any

from api.openai.output_items import (
    ItemShape,
    OutputPart,
    output_text,
    reasoning_text,
    summary_text,
)
from api.openai.part_list import PartList
from shared.wire.event import Event
from shared.wire.parts import ToolCall

Fields = dict[str, Any]


class PartEvents:
    """Translates the pieces of a reply; numbers are added elsewhere.

    An item begins with its first piece: a turn that fails before has none. It ends when another one
    begins, or with the reply.

    Args:
        written: the parts so far; this adds to them.
    """

    def __init__(self, shape: ItemShape, written: PartList) -> None:
        self._shape = shape
        self._written = written
        self._is_open = False

    def of_event(self, event: Event) -> Iterator[Fields]:
        """What a published piece brings."""
        piece = PartList.piece_of(event)
        if piece is not None:
            yield from self.of_piece(piece)

    def of_piece(self, piece: OutputPart) -> Iterator[Fields]:
        """What some more text, a whole call or a whole part brings."""
        is_new = self._written.begins_with(piece)
        if is_new:
            yield from self.close("completed")
        self._written.add_piece(piece)
        if is_new:
            yield from self._open()
        if piece.kind == "call":
            yield from self._call(ToolCall.decode(piece.text))
            yield from self.close("completed")
        else:
            yield self._delta(piece)

    def _open(self) -> Iterator[Fields]:
        self._is_open = True
        item = self._shape.item(self._written.parts, "in_progress", is_new=True)
        yield {"type": "response.output_item.added", "output_index": self._index, "item": item}
        match self._written.parts[-1].kind:
            case "text":
                yield self._of_content("response.content_part.added", part=output_text(""))
            case "reasoning" if self._shape.has_summary:
                kind = "response.reasoning_summary_part.added"
                yield self._of_summary(kind, part=summary_text(""))
            case "reasoning":
                yield self._of_content("response.content_part.added", part=reasoning_text(""))

    def _delta(self, piece: OutputPart) -> Fields:
        if piece.kind == "text":
            logprobs = list(piece.logprobs)
            kind = "response.output_text.delta"
            return self._of_content(kind, delta=piece.text, logprobs=logprobs)
        if self._shape.has_summary:
            return self._of_summary("response.reasoning_summary_text.delta", delta=piece.text)
        return self._of_content("response.reasoning.delta", delta=piece.text)

    def _call(self, call: ToolCall) -> Iterator[Fields]:
        kind = "response.function_call_arguments"
        yield self._of_item(f"{kind}.delta", delta=call.arguments)
        yield self._of_item(f"{kind}.done", name=call.name, arguments=call.arguments)

    def close(self, status: str) -> Iterator[Fields]:
        """End the item that is under way, if one is."""
        if not self._is_open:
            return
        self._is_open = False
        part = self._written.parts[-1]
        if part.kind == "text":
            logprobs = list(part.logprobs)
            kind = "response.output_text.done"
            yield self._of_content(kind, text=part.text, logprobs=logprobs)
            whole = output_text(part.text, part.logprobs)
            yield self._of_content("response.content_part.done", part=whole)
        elif part.kind == "reasoning":
            yield from self._end_of_thought(part.text)
        item = self._shape.item(self._written.parts, status)
        yield {"type": "response.output_item.done", "output_index": self._index, "item": item}

    def _end_of_thought(self, text: str) -> Iterator[Fields]:
        if self._shape.has_summary:
            yield self._of_summary("response.reasoning_summary_text.done", text=text)
            kind = "response.reasoning_summary_part.done"
            yield self._of_summary(kind, part=summary_text(text))
        else:
            yield self._of_content("response.reasoning.done", text=text)
            yield self._of_content("response.content_part.done", part=reasoning_text(text))

    @property
    def _index(self) -> int:
        return len(self._written.parts) - 1

    def _of_content(self, kind: str, **fields: Any) -> Fields:
        return self._of_item(kind, content_index=0, **fields)

    def _of_summary(self, kind: str, **fields: Any) -> Fields:
        return self._of_item(kind, summary_index=0, **fields)

    def _of_item(self, kind: str, **fields: Any) -> Fields:
        name = self._shape.id_of(self._written.parts)
        return {"type": kind, "item_id": name, "output_index": self._index, **fields}
