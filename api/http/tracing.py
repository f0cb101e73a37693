"""An id for each request, which a client can report, and a line in the log."""

import logging
import secrets
import time
from typing import Any, Final

import falcon.asgi

from api.http.paths import Paths
from shared.process.logs import CONTEXT, about, add_context

log = logging.getLogger(__name__)

_ID_BYTES: Final = 12
_TIMED: Final = "/v1/"
_ANTHROPIC: Final = "/v1/messages"


class Tracing:
    """Middleware: every response has an `x-request-id`, those of OpenAI's API the time they took.

    Each request is one line in the log: its route, never its path or its body, and the ids that it
    names. A stream is logged when it begins.
    """

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._files = paths.files
        self._routine = paths.routine | {paths.files}

    async def process_request(self, req: falcon.asgi.Request, resp: falcon.asgi.Response) -> None:
        """Give the request an id, and note when it began for all that measure it."""
        req.context.id = f"req_{secrets.token_hex(_ID_BYTES)}"
        resp.context.request_id = req.context.id
        req.context.began = time.perf_counter()
        CONTEXT.set({"request": req.context.id})

    async def process_resource(
        self, _req: falcon.asgi.Request, _resp: Any, _resource: Any, params: dict[str, Any]
    ) -> None:
        """Log the ids in the path; other parameters may contain anything."""
        if params and (ids := self._paths.ids_in(params)):
            add_context(**ids)

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        resp.set_header("x-request-id", req.context.id)
        if req.path.startswith(_ANTHROPIC):
            resp.set_header("request-id", req.context.id)
        took_ms = (time.perf_counter() - req.context.began) * 1000
        if req.path.startswith(_TIMED):
            resp.set_header("openai-processing-ms", f"{took_ms:.0f}")
        route = req.uri_template or (self._files if req.path.startswith(self._files) else None)
        log.log(
            logging.DEBUG if route in self._routine else logging.INFO,
            "%s %s %s",
            req.method,
            route or "(no route)",
            resp.status_code,
            extra=about(took_ms=round(took_ms, 1), key=getattr(req.context, "guesser", None)),
        )
