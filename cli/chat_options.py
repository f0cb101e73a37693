"""What the command line says about a chat."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatOptions:
    """Which conversation is meant, and how its prompts are answered.

    Args:
        conversation_id: of the one to continue; None if none is named.
        is_new: a new one is wanted, whichever was last.
        continues_last: the last one is wanted, where a new one is usual.
        context: the instructions of a new one; it is one if there are any.
        model: which model answers; None leaves it to the server.
        reasoning: how much it thinks; None leaves it to the server.
        fields: further fields of every prompt, such as `temperature`.
    """

    conversation_id: int | None = None
    is_new: bool = False
    continues_last: bool = False
    context: str | None = None
    model: str | None = None
    reasoning: str | None = None
    fields: Mapping[str, Any]

    @property
    def prompt_fields(self) -> Mapping[str, Any]:
        """What goes with every prompt, besides the model."""
        thinking = {} if self.reasoning is None else {"reasoning": self.reasoning}
        return {**self.fields, **thinking}

    @property
    def shows_thoughts(self) -> bool | None:
        """Whether thoughts are shown; None for where there is a terminal."""
        return None if self.reasoning is None else self.reasoning != "off"
