"""Bodies of `/v1/conversations`."""

import time
from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import Field

from api.openai.input_items import AnyItem, InputItem, messages_of
from api.openai.requests import Metadata, RequestModel
from shared.wire.messages import StoredMessage

MOST_ADDED: Final = 20
"""Items that are added to a conversation at once, as in OpenAI's API."""


def stored_messages(batch_id: str, items: Sequence[AnyItem]) -> tuple[StoredMessage, ...]:
    """Items as messages that are stored without a turn.

    Their numbers are assigned by Redis, their tokens are counted by a worker.

    Args:
        batch_id: has the form of a job id; the items' ids are made from it.
    """
    now_ms = time.time_ns() // 1_000_000
    return tuple(
        StoredMessage(
            number=0,
            role=chat.role,
            content=chat.content,
            timestamp_ms=now_ms,
            tokens=0,
            job_id=batch_id,
            place=place,
            reasoning=chat.reasoning,
            tool_calls=chat.tool_calls,
            call_id=chat.call_id,
            name=chat.name,
        )
        for place, chat in enumerate(messages_of(items))
    )


class NewItems(RequestModel):
    """The body of `POST /v1/conversations/{id}/items`."""

    items: Annotated[tuple[InputItem, ...], Field(min_length=1, max_length=MOST_ADDED)]


class NewConversation(RequestModel):
    """The body of `POST /v1/conversations`."""

    metadata: Metadata | None = None
    items: Annotated[tuple[InputItem, ...], Field(max_length=MOST_ADDED)] | None = None


class ConversationUpdate(RequestModel):
    """The body of `POST /v1/conversations/{id}`."""

    metadata: Metadata | None
