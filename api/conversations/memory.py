"""`/conversations/{id}/memory`: what is remembered of the turns that have left the window."""

import time

import falcon.asgi

from api.conversations.bodies import MemoryChanges
from api.conversations.conversations import checked, not_found
from api.http.access import caller_of
from api.http.errors import Problem
from api.http.incoming import parse, read_json_object
from api.live.headroom import Headroom
from shared.store.summaries import Memories, Remembered
from shared.wire.memory import MemoryMode
from shared.wire.objects import MemoryObject, SummaryObject
from shared.wire.summary import Summary
from shared.wire.timestamps import rfc3339


class MemoryResource:
    """Shows the summary of a conversation, corrects it, and deletes it.

    Args:
        mode: of conversations that do not say.
    """

    def __init__(
        self, memories: Memories, headroom: Headroom, max_body_bytes: int, mode: MemoryMode
    ) -> None:
        self._memories = memories
        self._headroom = headroom
        self._max_body_bytes = max_body_bytes
        self._mode = mode

    async def on_get(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        owner_id = caller_of(req).owner_id
        resp.media = self._shown(await self._memories.show(checked(conversation), owner_id))

    async def on_patch(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        changes = parse(MemoryChanges, await read_json_object(req, self._max_body_bytes))
        self._headroom.check()
        text, now_ms = changes.summary.strip(), time.time_ns() // 1_000_000
        summary = Summary(number=0, text=text, made_ms=now_ms)
        owner_id = caller_of(req).owner_id
        remembered = await self._memories.correct(checked(conversation), owner_id, summary)
        if remembered == "NONE":
            detail = "no turn has left the window yet: there is nothing to summarise"
            raise Problem(409, "nothing_to_summarise", detail)
        resp.media = self._shown(remembered)

    async def on_delete(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, conversation: str
    ) -> None:
        owner_id = caller_of(req).owner_id
        shown = await self._memories.show(checked(conversation), owner_id)
        if shown is None:
            raise not_found()
        remakes = (shown.mode or self._mode) == "summary"
        if await self._memories.forget(conversation, owner_id, remake=remakes) is None:
            raise not_found()
        resp.status = 204

    def _shown(self, remembered: Remembered | None) -> MemoryObject:
        if remembered is None:
            raise not_found()
        return MemoryObject(
            memory=remembered.mode or self._mode,
            window_from=remembered.offset,
            due=remembered.is_due,
            summary=_summary_object(remembered),
        )


def _summary_object(remembered: Remembered) -> SummaryObject | None:
    summary = remembered.summary
    if summary is None:
        return None
    return SummaryObject(
        text=summary.text,
        first=1,
        last=summary.number - 1,
        turns=summary.turns,
        model=summary.model or None,
        made_at=rfc3339(summary.made_ms),
    )
