"""A message on its way into a prompt."""

from dataclasses import dataclass

from shared.wire.messages import ChatMessage, Role


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptMessage:
    """A message and what is known of its tokens.

    Args:
        token_ids: of its content, as this model wrote it.
        written_ids: all that this model wrote, markup included, of a reply with a thought or call;
            what is text alone, such as half a call, is never shown with control tokens.
    """

    message: ChatMessage
    token_ids: tuple[int, ...] | None = None
    written_ids: tuple[int, ...] | None = None

    @classmethod
    def of_reply(
        cls,
        message: ChatMessage,
        *,
        token_ids: tuple[int, ...] | None,
        written_ids: tuple[int, ...] | None,
    ) -> "PromptMessage":
        """A reply of this model."""
        has_parts = bool(message.reasoning or message.tool_calls)
        return cls(
            message=message, token_ids=token_ids, written_ids=written_ids if has_parts else None
        )

    @property
    def role(self) -> Role:
        """Of the message."""
        return self.message.role

    @classmethod
    def says(cls, role: Role, content: str) -> "PromptMessage":
        """A message that is nothing but text."""
        return cls(message=ChatMessage(role=role, content=content))
