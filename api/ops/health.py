"""`/healthz` and `/readyz`, and the description at `/`."""

import asyncio
from typing import Any, Final

import falcon
import falcon.asgi
import orjson
from redis.exceptions import RedisError

from api.http.errors import Problem
from api.live.feed import EventFeed
from api.live.headroom import Headroom
from shared.process.tasks import Background
from shared.store.workers import WORKER_SILENCE_S, Workers

_PING_TIMEOUT_S: Final = 2.0


class Readiness:
    """Whether a prompt would be answered.

    A full queue is no reason: it passes as fast as turns end, and who asks for results, or waits in
    that queue, is to be let through meanwhile.
    """

    def __init__(self, workers: Workers, feed: EventFeed, headroom: Headroom) -> None:
        self._workers = workers
        self._feed = feed
        self._headroom = headroom
        self.is_starting = False
        """Set by a process that has not yet seen what kind of server Redis is."""

    async def missing(self) -> tuple[str, str] | None:
        """What keeps prompts from being accepted, as a word and a sentence, or None.

        The word is `redis`, `worker`, or one of `Headroom`'s.
        """
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                silence_s = await self._workers.silence_s()
        except (RedisError, OSError):
            return "redis", "Redis does not answer"
        if self.is_starting or not self._feed.is_connected:
            return "redis", "Redis does not answer"
        if self._headroom.lack is not None:
            return self._headroom.lack, str(self._headroom.refusal)
        if silence_s is None or silence_s > WORKER_SILENCE_S:
            return "worker", "no worker is ready"
        return None


class HealthResource:
    """The process lives, with all its parts."""

    def __init__(self, background: Background) -> None:
        self._background = background

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        if (failure := self._background.failure) is not None:
            raise Problem(503, "not_healthy", str(failure), extra={"task": failure.name})
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps({"status": "ok"})


class ReadyResource:
    """A prompt would be taken and answered."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        missing = await self._readiness.missing()
        if missing is not None:
            word, detail = missing
            raise Problem(503, "not_ready", detail, retry_after_s=1, extra={"missing": word})
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps({"status": "ready"})


class StaticJson:
    """A resource that is always the same."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._data = orjson.dumps(document)

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._data
