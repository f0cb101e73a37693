"""The end of a turn that has a reply."""

from dataclasses import dataclass

from shared.wire.messages import StoredMessage
from shared.wire.publication import PieceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Everything a finished turn changes in its conversation.

    `offset` and the messages' numbers are absolute; `earlier` messages stand in front of the
    user's, and `context`, if there is one, becomes the conversation's. `result` is what the job
    keeps, `reply` what its waiters get; `piece` is the end of the reply that has not been emitted
    yet.
    """

    user: StoredMessage
    assistant: StoredMessage
    offset: int
    tokens: int
    window: bytes
    result: bytes
    reply: bytes
    piece: PieceRecord | None
    earlier: tuple[StoredMessage, ...] = ()
    context: str | None = None

    @property
    def number(self) -> int:
        """Of the first message that it adds."""
        return self.earlier[0].number if self.earlier else self.user.number
