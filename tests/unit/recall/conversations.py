"""Conversations as they are stored, for tests of recall."""

from shared.wire.messages import StoredMessage


def turns(*contents: str, first: int = 1) -> list[StoredMessage]:
    """Prompts and replies in turn."""
    return [
        StoredMessage(
            number=number,
            role="assistant" if place % 2 else "user",
            content=content,
            timestamp_ms=number,
            tokens=len(content),
            job_id=f"{number - place % 2:032}",
        )
        for place, (number, content) in enumerate(enumerate(contents, first))
    ]
