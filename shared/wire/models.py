"""Which models wrote a conversation's replies."""

from dataclasses import dataclass, replace

from shared.wire.messages import StoredMessage


def one_line(model_name: str) -> str:
    """A model's name as conversations keep it."""
    return " ".join(model_name.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyModels:
    """The models of a conversation, each with the number of the first message that is its own.

    Replies of versions before data format 2, and those that a client brought along, have no finish
    reason, and nobody knows their model.
    """

    starts: tuple[tuple[int, str], ...] = ()

    @classmethod
    def decode(cls, lines: str) -> "ReplyModels":
        """Read what `commit` wrote: a number and a name in each line."""
        pairs = (line.partition(" ") for line in lines.split("\n") if line)
        return cls(starts=tuple((int(number), name) for number, _, name in pairs))

    @property
    def last(self) -> str:
        """The model of the last reply; empty if it is unknown."""
        return self.starts[-1][1] if self.starts else ""

    def named(self, message: StoredMessage) -> StoredMessage:
        """The message with the name of the model that wrote it."""
        if not message.finish_reason:
            return message
        names = [name for number, name in self.starts if number <= message.number]
        return replace(message, model_name=names[-1]) if names else message
