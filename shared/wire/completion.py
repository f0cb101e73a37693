"""What a completed turn writes."""

from dataclasses import dataclass

from shared.wire.messages import StoredMessage
from shared.wire.publication import PieceRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """Everything that a completed turn changes in its conversation and its job.

    Args:
        offset: number of the first message of the window from now on.
        tokens: of prompt and reply, charged to the owner.
        prompt_tokens, cached_tokens: those of the prompt, and those of them that were in a cache.
        saves_ms: what the next turn of the conversation saves on this worker, as its cache has it.
        prefix: names what the next request of a client that keeps the conversation itself begins
            with (`digest_behind`); empty for others.
        window: the `WindowReceipt`, as JSON.
        result: the `TurnResult`, as JSON, which the job keeps.
        reply: the reply object, as JSON, which is published.
        pieces: the end of the reply, if it was not published yet.
        at: number of the reply's token ids that were published before them; None if none can be.
        earlier: messages that the request brought along; they precede the user's.
        context: the conversation's new instructions; None leaves them as they are.
        folds: turns have left the window that the conversation's summary lacks.
        continues: the turn has continued the last reply: `user` stands already, and `assistant`
            replaces that reply.
    """

    user: StoredMessage
    assistant: StoredMessage
    offset: int
    tokens: int
    window: bytes
    result: bytes
    reply: bytes
    prompt_tokens: int = 0
    cached_tokens: int = 0
    saves_ms: int = 0
    prefix: str = ""
    pieces: tuple[PieceRecord, ...] = ()
    at: int | None = None
    earlier: tuple[StoredMessage, ...] = ()
    context: str | None = None
    continues: bool = False
    folds: bool = False

    @property
    def needs_parts(self) -> bool:
        """Whether versions before data format 2 cannot read the messages that it adds."""
        return any(message.needs_parts for message in self._added)

    @property
    def number(self) -> int:
        """Number of the first message that it adds."""
        return self._added[0].number

    @property
    def _added(self) -> tuple[StoredMessage, ...]:
        if self.continues:
            return (self.assistant,)
        return (*self.earlier, self.user, self.assistant)
