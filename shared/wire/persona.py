"""Instructions that an owner keeps under a name, to begin conversations with."""

from dataclasses import dataclass
from typing import Any, NotRequired, Self

import orjson
from typing_extensions import TypedDict

from shared.wire.timestamps import rfc3339


class PersonaObject(TypedDict):
    """A persona; `model` is missing where any may answer."""

    id: str
    name: str
    context: str
    updated_at: str
    model: NotRequired[str]


class PersonaList(TypedDict):
    """All personas, by name."""

    personas: list[PersonaObject]


@dataclass(frozen=True, slots=True, kw_only=True)
class Persona:
    """A persona.

    Args:
        persona_id: chosen by the client that made it.
        context: the bot's instructions.
        model_name: that is to answer; empty: any.
    """

    persona_id: str
    name: str
    context: str
    model_name: str = ""

    def encode(self) -> str:
        """As it is stored, under its id."""
        return orjson.dumps({"n": self.name, "c": self.context, "m": self.model_name}).decode()

    def to_wire(self, updated_ms: int) -> PersonaObject:
        """As clients get it."""
        shown: PersonaObject = {
            "id": self.persona_id,
            "name": self.name,
            "context": self.context,
            "updated_at": rfc3339(updated_ms),
        }
        if self.model_name:
            shown["model"] = self.model_name
        return shown

    @classmethod
    def decode(cls, persona_id: str, text: str) -> Self:
        """Read what `encode` wrote."""
        fields: dict[str, Any] = orjson.loads(text)
        return cls(
            persona_id=persona_id, name=fields["n"], context=fields["c"], model_name=fields["m"]
        )
