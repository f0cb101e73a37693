"""How a conversation without a turn begins."""

from dataclasses import dataclass

from shared.wire.messages import StoredMessage


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a new conversation has.

    Args:
        batch_id: has the form of a job id; makes it safe to repeat the call.
        metadata: JSON.
        messages: numbered by Redis. Those of role system in front become its context.
        context: the bot's instructions.
        title: empty if none is set.
        model_name: replies from now on. Empty, or unknown where there are messages: the usual one.
    """

    batch_id: str
    metadata: str = "{}"
    messages: tuple[StoredMessage, ...] = ()
    context: str = ""
    title: str = ""
    is_pinned: bool = False
    model_name: str = ""
