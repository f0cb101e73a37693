"""How a conversation without a turn begins."""

from dataclasses import dataclass

from shared.wire.memory import MemoryMode
from shared.wire.messages import StoredMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class BegunAlternative:
    """An alternative of an imported conversation.

    Args:
        number: of its first message, where the conversation's first is 1.
        after: the job of the message that it continues; empty at the conversation's beginning.
        under: id of the alternative that has this message; empty if it stands.
        turns: completed ones of the conversation while it stands.
        context: instructions of the conversation while it stands.
    """

    alternative_id: str
    number: int
    after: str
    under: str
    replaced_ms: int
    turns: int
    context: str
    messages: tuple[StoredMessage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a new conversation has.

    Args:
        batch_id: has the form of a job id; makes it safe to repeat the call.
        metadata: JSON.
        messages: numbered by Redis. Those of role system in front become its context.
        alternatives: as they were replaced, so that each stands before the one under which it is.
        context: the bot's instructions.
        title: empty if none is set.
        memory: None leaves it to the server's setting.
        model_name: replies from now on. Empty, or unknown where there are messages: the usual one.
    """

    batch_id: str
    metadata: str = "{}"
    messages: tuple[StoredMessage, ...] = ()
    alternatives: tuple[BegunAlternative, ...] = ()
    context: str = ""
    title: str = ""
    is_pinned: bool = False
    model_name: str = ""
    memory: MemoryMode | None = None
