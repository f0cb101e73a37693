"""`/v1/conversations`: the same conversations as under `/conversations`."""

from typing import Any, Final

import falcon.asgi
import orjson

from api.http.access import caller_of
from api.http.incoming import parse, read_json_object
from api.live.asking import write_allowance
from api.live.beginning import begun_with
from api.live.headroom import Headroom
from api.openai.conversation_requests import ConversationUpdate, NewConversation, stored_messages
from api.openai.ids import CONVERSATION, conversation_id_in_path, no_such_conversation
from shared import ids
from shared.id_source import IdSource
from shared.store.conversations import Conversations
from shared.wire.beginning import Beginning

_NO_METADATA: Final = "{}"


class NewConversationResource:
    """Creates conversations."""

    def __init__(
        self,
        conversations: Conversations,
        headroom: Headroom,
        id_source: IdSource,
        max_body_bytes: int,
    ) -> None:
        self._conversations = conversations
        self._headroom = headroom
        self._id_source = id_source
        self._max_body_bytes = max_body_bytes

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        request = parse(NewConversation, body)
        self._headroom.check()
        caller = caller_of(req)
        batch_id = ids.new_job()
        beginning = Beginning(
            batch_id=batch_id,
            metadata=orjson.dumps(request.metadata or {}).decode(),
            messages=stored_messages(batch_id, request.items or ()),
        )
        begun = await begun_with(self._conversations, self._id_source, caller, beginning)
        write_allowance(resp, begun.allowance)
        resp.media = await conversation_object(
            self._conversations, begun.conversation_id, caller.owner_id
        )


class OpenAiConversationResource:
    """Shows a conversation, changes its metadata, and deletes it."""

    def __init__(self, conversations: Conversations, max_body_bytes: int) -> None:
        self._conversations = conversations
        self._max_body_bytes = max_body_bytes

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        conversation_id, owner_id = conversation_id_in_path(conversation), caller_of(req).owner_id
        resp.media = await conversation_object(self._conversations, conversation_id, owner_id)

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        metadata = orjson.dumps(parse(ConversationUpdate, body).metadata or {}).decode()
        conversation_id, owner_id = conversation_id_in_path(conversation), caller_of(req).owner_id
        resp.media = await conversation_object(
            self._conversations, conversation_id, owner_id, new_metadata=metadata
        )

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        conversation_id, owner_id = conversation_id_in_path(conversation), caller_of(req).owner_id
        if not await self._conversations.delete(conversation_id, owner_id):
            raise no_such_conversation()
        resp.media = {"id": conversation, "object": "conversation.deleted", "deleted": True}


async def conversation_object(
    conversations: Conversations,
    conversation_id: str,
    owner_id: str,
    *,
    new_metadata: str | None = None,
) -> dict[str, Any]:
    """A conversation as OpenAI shows it, after its metadata were replaced if there are new ones.

    Raises:
        Problem: 404.
    """
    label = await conversations.label(conversation_id, owner_id, new_metadata)
    if label is None:
        raise no_such_conversation()
    created_ms, metadata = label
    return {
        "id": f"{CONVERSATION}{conversation_id}",
        "object": "conversation",
        "created_at": created_ms // 1000,
        "metadata": orjson.loads(metadata or _NO_METADATA),
    }
