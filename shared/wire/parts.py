"""What a reply consists of: text, thoughts, and calls of the client's tools."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

PartKind = Literal["text", "reasoning", "call"]

EVENT_OF_PART: Final[dict[PartKind, str]] = {
    "text": "token",
    "reasoning": "reasoning",
    "call": "call",
}
"""The type of the event that publishes a part."""
_USUAL_ORDER: Final[tuple[PartKind, ...]] = ("reasoning", "text", "call")
PART_OF_EVENT: Final = {event: part for part, event in EVENT_OF_PART.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A function that the model may call.

    Args:
        parameters: its JSON schema, as JSON text.
        strict: whether arguments must follow the schema.
    """

    name: str
    description: str = ""
    parameters: str = "{}"
    strict: bool = False

    def to_json(self) -> dict[str, Any]:
        """As a request stores it."""
        fields: dict[str, Any] = {"name": self.name, "parameters": self.parameters}
        if self.description:
            fields["description"] = self.description
        if self.strict:
            fields["strict"] = True
        return fields

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "Tool":
        """Read what `to_json` wrote; fields of newer versions are ignored."""
        return cls(
            name=fields["name"],
            description=fields.get("description", ""),
            parameters=fields.get("parameters", "{}"),
            strict=fields.get("strict", False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A call of a tool that a model wrote.

    Args:
        id: names the call; its result refers to it.
        arguments: JSON text, as the model wrote it.
    """

    id: str
    name: str
    arguments: str

    def to_json(self) -> dict[str, str]:
        """As messages, results and events hold it."""
        return {"id": self.id, "name": self.name, "arguments": self.arguments}

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> "ToolCall":
        """Read what `to_json` wrote; fields of newer versions are ignored."""
        return cls(id=fields["id"], name=fields["name"], arguments=fields["arguments"])

    def encode(self) -> str:
        """The text of a part that is a call."""
        return orjson.dumps(self.to_json()).decode()

    @classmethod
    def decode(cls, text: str) -> "ToolCall":
        """Read what `encode` wrote."""
        return cls.from_json(orjson.loads(text))


def order_of(parts: Iterable[tuple[PartKind, str]]) -> tuple[tuple[PartKind, int], ...] | None:
    """Kinds and lengths of a reply's parts, neighbours joined; None for thought, text, calls.

    The length of a thought or a text is in characters, that of calls their number.
    """
    order: list[tuple[PartKind, int]] = []
    for kind, text in parts:
        length = 1 if kind == "call" else len(text)
        if order and order[-1][0] == kind:
            length += order.pop()[1]
        if length:
            order.append((kind, length))
    places = [_USUAL_ORDER.index(kind) for kind, _ in order]
    return None if places == sorted(set(places)) else tuple(order)
