"""`/v1/conversations`: the same conversations as under `/conversations`."""

from functools import partial
from typing import Any, Final

import falcon
import falcon.asgi
import orjson

from api.http.access import caller_of
from api.http.body import read_json_object
from api.http.errors import Problem, parse
from api.live.headroom import Headroom
from api.live.intake import asked_again
from api.live.waiting import tell_allowance
from api.openai.objects import CONVERSATION
from api.openai.response_requests import ConversationUpdate, NewConversation, brought_along
from api.openai.responses import conversation_of, show_response
from shared import ids
from shared.store.conversations import Conversations

_NO_METADATA: Final = "{}"


class NewConversationResource:
    """Makes conversations."""

    def __init__(
        self, conversations: Conversations, headroom: Headroom, max_body_bytes: int
    ) -> None:
        self._conversations = conversations
        self._headroom = headroom
        self._max_body_bytes = max_body_bytes

    async def on_post(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        request = parse(NewConversation, body)
        self._headroom.check()
        caller = caller_of(req)
        metadata = orjson.dumps(request.metadata or {}).decode()
        batch = ids.new_job()
        messages = brought_along(batch, request.items or ())
        begun = None
        while begun is None:
            begin = partial(self._conversations.begin, ids.new_conversation(), caller)
            begun = await asked_again(partial(begin, metadata, batch, messages))
        tell_allowance(begun.allowance, resp)
        show_response(
            await shown(self._conversations, begun.conversation_id, caller.owner_id), resp
        )


class OpenAiConversationResource:
    """Shows, relabels and deletes a conversation."""

    def __init__(self, conversations: Conversations, max_body_bytes: int) -> None:
        self._conversations = conversations
        self._max_body_bytes = max_body_bytes

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        name, owner = found(conversation), caller_of(req).owner_id
        show_response(await shown(self._conversations, name, owner), resp)

    async def on_post(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        body = await read_json_object(req, self._max_body_bytes)
        metadata = orjson.dumps(parse(ConversationUpdate, body).metadata or {}).decode()
        name, owner = found(conversation), caller_of(req).owner_id
        show_response(await shown(self._conversations, name, owner, metadata), resp)

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        if not await self._conversations.delete(found(conversation), caller_of(req).owner_id):
            raise no_conversation()
        gone = {"id": conversation, "object": "conversation.deleted", "deleted": True}
        show_response(gone, resp)


def found(name: str) -> str:
    """The conversation behind an id in a path.

    Raises:
        Problem: 404, it is no such id.
    """
    try:
        return conversation_of(name)
    except Problem:
        raise no_conversation() from None


async def shown(
    conversations: Conversations, conversation_id: str, owner_id: str, metadata: str | None = None
) -> dict[str, Any]:
    """A conversation as OpenAI shows it.

    Raises:
        Problem: 404.
    """
    label = await conversations.label(conversation_id, owner_id, metadata)
    if label is None:
        raise no_conversation()
    created_ms, labels = label
    return {
        "id": f"{CONVERSATION}{conversation_id}",
        "object": "conversation",
        "created_at": created_ms // 1000,
        "metadata": orjson.loads(labels or _NO_METADATA),
    }


def no_conversation() -> Problem:
    """There is none of this owner with this id."""
    return Problem(404, "not_found", "there is no such conversation")
