"""`/v1/models`: what the living workers run."""

import time
from collections.abc import Mapping
from typing import Any

import falcon
import falcon.asgi
import orjson

from api.http.errors import Problem
from shared.store.workers import Workers


class Models:
    """The models of this queue, looked up now and then."""

    def __init__(self, workers: Workers, *, every_s: float = 2.0) -> None:
        self._workers = workers
        self._every_s = every_s
        self._known: dict[str, int] = {}
        self._looked_at = float("-inf")

    async def known(self) -> Mapping[str, int]:
        """The models of all living workers, normally one, and their windows in tokens."""
        if time.monotonic() - self._looked_at > self._every_s:
            self._known = await self._workers.models()
            self._looked_at = time.monotonic()
        return self._known

    async def name(self) -> str:
        """The model that answers; empty while no worker lives."""
        return next(iter(await self.known()), "")


class ModelsResource:
    """Lists models."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        listed = [_model(*one) for one in (await self._models.known()).items()]
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps({"object": "list", "data": listed})


class ModelResource:
    """Shows one model."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def on_get(
        self, _req: falcon.asgi.Request, resp: falcon.asgi.Response, model: str
    ) -> None:
        known = await self._models.known()
        if model not in known:
            raise Problem(404, "model_not_found", "no worker runs this model")
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps(_model(model, known[model]))


def _model(name: str, window: int) -> dict[str, Any]:
    return {
        "id": name,
        "object": "model",
        "created": 0,
        "owned_by": "palaver",
        # The names that clients of other servers look for.
        "context_length": window,
        "max_model_len": window,
    }
