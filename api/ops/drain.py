"""`/ops/workers/{worker}/drain`: have a worker end when its turns have."""

import falcon.asgi

from api.http.errors import Problem
from shared.store.workers import Workers
from shared.wire.drain_answer import DrainAnswer


class DrainResource:
    """Asks a worker to drain, as `palaver drain` does."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers

    async def on_post(
        self, _req: falcon.asgi.Request, resp: falcon.asgi.Response, worker: str
    ) -> None:
        match await self._workers.ask_to_drain(worker):
            case DrainAnswer.GONE:
                raise Problem(404, "not_found", "there is no such worker")
            case DrainAnswer.OLD:
                detail = "this worker runs an older version and cannot be asked: send it SIGTERM"
                raise Problem(409, "cannot_drain", detail)
        resp.media = {"worker": worker, "draining": True}
