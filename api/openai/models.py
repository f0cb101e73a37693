"""`/v1/models`: what the living workers run."""

import time
from collections.abc import Mapping
from typing import Any

import falcon.asgi

from api.http.errors import Problem
from shared.errors import shortened
from shared.store.workers import Workers
from shared.wire.served_model import DEMO, ServedModel


class Models:
    """The models that living workers run, looked up every two seconds at most."""

    def __init__(self, workers: Workers, *, every_s: float = 2.0) -> None:
        self._workers = workers
        self._every_s = every_s
        self._known: Mapping[str, ServedModel] = {}
        self._fetched_at = float("-inf")

    async def known(self) -> Mapping[str, ServedModel]:
        """All models by name, the one that was there first in front."""
        if time.monotonic() - self._fetched_at > self._every_s:
            await self._fetch()
        return self._known

    async def find(self, name: str) -> ServedModel | None:
        """A model; one whose first worker has just come, too."""
        known = await self.known()
        if name not in known and await self._workers.is_served(name):
            await self._fetch()
        return self._known.get(name)

    async def _fetch(self) -> None:
        self._known = await self._workers.models()
        self._fetched_at = time.monotonic()


class ModelsResource:
    """Lists models."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        models = await self._models.known()
        resp.media = {"object": "list", "data": list(map(_model_object, models.values()))}


class ModelResource:
    """Shows one model."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def on_get(
        self, _req: falcon.asgi.Request, resp: falcon.asgi.Response, model: str, rest: str = ""
    ) -> None:
        # Names such as `maker/model` are two segments of a path.
        name = f"{model}/{rest}" if rest else model
        served = await self._models.find(name)
        if served is None:
            detail = f"no worker runs the model {shortened(name)}"
            raise Problem(404, "model_not_found", detail)
        resp.media = _model_object(served)


def _model_object(model: ServedModel) -> dict[str, Any]:
    return {
        "id": model.name,
        "object": "model",
        "created": 0,
        "owned_by": "palaver",
        # The names under which clients look for it on other servers.
        "context_length": model.window,
        "max_model_len": model.window,
        "workers": model.workers,
        "capabilities": [name for name in model.capabilities if name != DEMO],
    } | ({"demo": True} if DEMO in model.capabilities else {})
