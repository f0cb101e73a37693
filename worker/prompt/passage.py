"""What is quoted of messages before the window."""

from dataclasses import dataclass

from shared.wire.messages import Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What one message said, or a part of it.

    Args:
        conversation_id: of another conversation than the prompt's; else empty.
    """

    number: int
    role: Role
    text: str
    conversation_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What is quoted together: a turn, or if that is long a part of it, counted from 0."""

    quotes: tuple[Quote, ...]
    part: int = 0

    @property
    def conversation_id(self) -> str:
        """Of another conversation than the prompt's; else empty."""
        return self.quotes[0].conversation_id

    @property
    def number(self) -> int:
        """Of its first message."""
        return self.quotes[0].number

    @property
    def text(self) -> str:
        """What was said."""
        return "\n".join(quote.text for quote in self.quotes)
