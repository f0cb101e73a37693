"""`/v1/models`: what the living workers run."""

import time
from collections.abc import Mapping
from typing import Any

import falcon.asgi

from api.http.errors import Problem
from shared.store.workers import Workers
from shared.wire.served_model import ServedModel


class Models:
    """The models that living workers run, looked up every two seconds at most."""

    def __init__(self, workers: Workers, *, every_s: float = 2.0) -> None:
        self._workers = workers
        self._every_s = every_s
        self._known: dict[str, ServedModel] = {}
        self._fetched_at = float("-inf")

    async def known(self) -> Mapping[str, ServedModel]:
        """All models, normally one, by name."""
        if time.monotonic() - self._fetched_at > self._every_s:
            self._known = await self._workers.models()
            self._fetched_at = time.monotonic()
        return self._known

    async def name(self) -> str:
        """The name of the model that answers; empty while no worker lives."""
        return next(iter(await self.known()), "")

    async def can(self, capability: str) -> bool:
        """Whether a model that is served can do something."""
        return any(capability in model.capabilities for model in (await self.known()).values())


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
        self, _req: falcon.asgi.Request, resp: falcon.asgi.Response, model: str
    ) -> None:
        known = await self._models.known()
        if model not in known:
            raise Problem(404, "model_not_found", "no worker runs this model")
        resp.media = _model_object(known[model])


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
        "capabilities": list(model.capabilities),
    }
