"""`/healthz` and `/readyz`, and the description at `/`."""

import asyncio
import time
from typing import Any, Final

import falcon
import falcon.asgi
import orjson
from redis.asyncio import Redis

from api.errors import Problem
from api.feed import EventFeed
from shared.keys import Keys
from shared.redis import AWAY
from shared.turns import WORKER_SILENCE_S

_PING_TIMEOUT_S: Final = 2.0


class Readiness:
    """Whether a prompt would be answered."""

    def __init__(self, redis: Redis, keys: Keys, feed: EventFeed) -> None:
        self._redis = redis
        self._keys = keys
        self._feed = feed

    async def missing(self) -> str | None:
        """What is missing: `redis`, `worker`, or None."""
        try:
            async with asyncio.timeout(_PING_TIMEOUT_S):
                newest = await self._redis.zrange(self._keys.workers, -1, -1, withscores=True)
        except (*AWAY, TimeoutError):
            return "redis"
        if not self._feed.is_connected:
            return "redis"
        silence_ms = WORKER_SILENCE_S * 1000
        if not newest or newest[0][1] < time.time() * 1000 - silence_ms:
            return "worker"
        return None


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
