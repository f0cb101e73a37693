"""`GET /jobs/{job}`: where is my reply?"""

import falcon
import falcon.asgi
import orjson

from api.chat import RETRY_AFTER_S
from api.errors import Problem
from shared import ids
from shared.jobs import Jobs


class JobResource:
    """Shows jobs."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def on_get(self, _req: falcon.asgi.Request, resp: falcon.asgi.Response, job: str) -> None:
        state = await self._jobs.get(job) if ids.is_job(job) else None
        if state is None:
            raise Problem(404, "not_found", "there is no such job")
        if not state.has_ended:
            resp.set_header("Retry-After", str(RETRY_AFTER_S))
        resp.content_type = falcon.MEDIA_JSON
        resp.data = orjson.dumps(state.to_wire())
