"""A message on its way into a prompt."""

from dataclasses import dataclass

from shared.wire.messages import ChatMessage, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMessage:
    """A message and what is known of its tokens.

    Args:
        token_ids: of its content, as this model wrote it.
        written_ids: all that this model wrote, markup included.
    """

    message: ChatMessage
    token_ids: tuple[int, ...] | None = None
    written_ids: tuple[int, ...] | None = None

    @property
    def role(self) -> Role:
        """Of the message."""
        return self.message.role

    @classmethod
    def says(cls, role: Role, content: str) -> "PromptMessage":
        """A message that is nothing but text."""
        return cls(message=ChatMessage(role=role, content=content))
