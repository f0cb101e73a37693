"""`/healthz` and `/readyz`, and the description at `/`."""

import asyncio
from typing import Any, Final

import falcon
import falcon.asgi
import orjson
from redis.exceptions import RedisError

from api.errors import Problem
from api.feed import EventFeed
from shared.workers import WORKER_SILENCE_S, Workers

_PING_TIMEOUT_S: Final = 2.0


class Readiness:
    """Whether a prompt would be answered."""

    def __init__(self, workers: Workers, feed: EventFeed) -> None:
        self._workers = workers
        self._feed = feed

    async def missing(self) -> str | None:
        """What is missing: `redis`, `worker`, or None."""
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                silence_s = await self._workers.silence_s()
        except (RedisError, OSError):
            return "redis"
        if not self._feed.is_connected:
            return "redis"
        return "worker" if silence_s is None or silence_s > WORKER_SILENCE_S else None


class HealthResource:
    """The process lives."""

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps({"status": "ok"})


class ReadyResource:
    """Redis answers and a worker is there."""

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        missing = await self._readiness.missing()
        if missing is not None:
            detail = "Redis does not answer" if missing == "redis" else "no worker is ready"
            raise Problem(503, "not_ready", detail, retry_after_s=1, extra={"missing": missing})
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps({"status": "ready"})


class StaticJson:
    """A resource that is always the same."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._data = orjson.dumps(document)

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = self._data
