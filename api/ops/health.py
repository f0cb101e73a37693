"""`/healthz` and `/readyz`."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import falcon
import falcon.asgi
import orjson
from redis.exceptions import RedisError

from api.http.errors import Problem
from api.live.feed import EventFeed
from api.live.headroom import Headroom, refusal_of
from shared.process.tasks import Background, end
from shared.store.workers import WORKER_SILENCE_S, Workers

_PING_TIMEOUT_S: Final = 2.0
_SOON_S: Final = 0.5
"""Probes do not wait longer for a cell that hangs while others answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing:
    """Why a prompt would not be answered.

    Args:
        name: `redis`, `worker`, or a `Lack`.
        detail: explanation for people.
    """

    name: str
    detail: str


_NO_REDIS: Final = Missing(name="redis", detail="Redis does not answer")


class Readiness:
    """Whether a prompt would be answered.

    A full queue is ready: it empties as fast as turns end, and meanwhile clients that wait in it
    or fetch results must not be turned away by a load balancer.
    """

    def __init__(self, workers: Workers, feed: EventFeed, headroom: Headroom) -> None:
        self.parts: Sequence[Readiness] = (self,)
        """Of each cell."""
        self._workers = workers
        self._feed = feed
        self._headroom = headroom
        self.is_starting = False
        """Set by a process that has not yet checked the Redis server."""
        self.lacking: tuple[int, ...] = ()
        """Cells in which no prompt would be answered, where there are several."""

    @property
    def may_serve(self) -> bool:
        """Whether nothing is known against asking here."""
        headroom = self._headroom
        return self._feed.is_connected and headroom.is_known and headroom.lack is None

    async def missing(self) -> Missing | None:
        """What is missing; None if a prompt would be accepted and answered."""
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                silence_s = await self._workers.silence_s()
        except (RedisError, OSError):
            return _NO_REDIS
        if self.is_starting or not self._feed.is_connected:
            return _NO_REDIS
        if self._headroom.lack is not None:
            lack = self._headroom.lack
            return Missing(name=lack, detail=str(refusal_of(lack)))
        if silence_s is None or silence_s > WORKER_SILENCE_S:
            return Missing(name="worker", detail="no worker is ready")
        return None


class _AllReadiness:
    """Ready while any cell is."""

    def __init__(self, parts: Sequence[Readiness]) -> None:
        self.parts = parts
        self.lacking: tuple[int, ...] = ()

    async def missing(self) -> Missing | None:
        """What is missing in every cell; None if a prompt would be answered in one of them."""
        asking = [asyncio.ensure_future(part.missing()) for part in self.parts]
        await asyncio.wait(asking, timeout=_SOON_S)
        if not any(task.done() and task.result() is None for task in asking):
            await asyncio.wait(asking)
        found = [task.result() if task.done() else _NO_REDIS for task in asking]
        await end(*asking)
        self.lacking = tuple(cell for cell, missing in enumerate(found) if missing is not None)
        return None if None in found else found[0]


def all_ready(parts: Sequence[Readiness]) -> Readiness:
    """The readiness of all cells as one."""
    return parts[0] if len(parts) == 1 else cast(Readiness, _AllReadiness(parts))


class HealthResource:
    """Whether the process and all its tasks are alive."""

    def __init__(self, background: Background) -> None:
        self._background = background

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        if (failure := self._background.failure) is not None:
            raise Problem(503, "not_healthy", str(failure), extra={"task": failure.name})
        resp.media = {"status": "ok"}


class ReadyResource:
    """Whether a prompt would be accepted and answered."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        missing = await self._readiness.missing()
        if missing is not None:
            extra = {"missing": missing.name}
            raise Problem(503, "not_ready", missing.detail, retry_after_s=1, extra=extra)
        resp.media = {"status": "ready"}
        if self._readiness.lacking:
            resp.media["degraded"] = self._readiness.lacking


class StaticJson:
    """A document that does not change."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._data = orjson.dumps(document)

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._data
