"""A reply's parts as they come together from its events."""

from typing import Any

import orjson

from api.openai.output_items import OutputPart
from shared.wire.event import Event
from shared.wire.parts import PART_OF_EVENT


class PartList:
    """Pieces of one kind that follow each other are one part; every call is one of its own."""

    def __init__(self) -> None:
        self.parts: list[OutputPart] = []

    @staticmethod
    def piece_of(event: Event) -> OutputPart | None:
        """What an event brings; None if it is no piece of a reply."""
        kind = PART_OF_EVENT.get(event.kind)
        if kind is None:
            return None
        if kind == "call":
            return OutputPart(kind=kind, text=event.data)
        data: dict[str, Any] = orjson.loads(event.data)
        logprobs = tuple(data.get("logprobs") or ()) if kind == "text" else ()
        return OutputPart(kind=kind, text=data["text"], logprobs=logprobs)

    def begins_with(self, piece: OutputPart) -> bool:
        """Whether a piece would be a part of its own."""
        return not self.parts or piece.kind == "call" or self.parts[-1].kind != piece.kind

    def add_piece(self, piece: OutputPart) -> None:
        """Add a piece to the last part, or as a part of its own."""
        if self.begins_with(piece):
            self.parts.append(piece)
        else:
            self.parts[-1] = self.parts[-1].with_more(piece.text, piece.logprobs)
