"""A conversation as its owner shows it to others: what was said, and nothing else."""

from collections.abc import Iterable
from typing import Literal, TypeGuard

from typing_extensions import TypedDict

from shared.wire.messages import StoredMessage
from shared.wire.timestamps import rfc3339


class ShareObject(TypedDict):
    """A link to a conversation as it was at a moment; `path` is the link's, on this server."""

    share: str
    path: str
    shared_at: str


class SharedMessage(TypedDict):
    """A prompt or a reply."""

    role: Literal["user", "assistant"]
    content: str
    timestamp: str


class SharedConversation(TypedDict):
    """What whoever has the link sees."""

    title: str | None
    shared_at: str
    messages: list[SharedMessage]


def share_object(share_id: str, shared_ms: int) -> ShareObject:
    """A link as its owner gets it."""
    return {"share": share_id, "path": f"/shared/{share_id}", "shared_at": rfc3339(shared_ms)}


def shared_conversation(
    title: str, shared_ms: int, messages: Iterable[StoredMessage]
) -> SharedConversation:
    """Instructions, thoughts, calls and tools' results are left out."""
    return {
        "title": title or None,
        "shared_at": rfc3339(shared_ms),
        "messages": [
            {
                "role": message.role,
                "content": message.content,
                "timestamp": rfc3339(message.timestamp_ms),
            }
            for message in messages
            if _is_shown(message.role) and message.content
        ],
    }


def _is_shown(role: str) -> TypeGuard[Literal["user", "assistant"]]:
    return role in ("user", "assistant")
