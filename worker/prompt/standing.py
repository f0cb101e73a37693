"""What stands of a reply that a turn continues, in tokens."""

from shared.wire.messages import StoredMessage
from worker.prompt.writer import PromptWriter


def num_tokens(writer: PromptWriter, reply: StoredMessage) -> int:
    """Tokens of the reply as this model will be shown it; markup of another model is left out."""
    if reply.fingerprint == writer.fingerprint and reply.written_ids is not None:
        return len(reply.written_ids)
    if reply.fingerprint == writer.fingerprint and reply.token_ids is not None:
        return len(reply.token_ids)
    return len(writer.tokenize(reply.reasoning + reply.content))
