"""A name for each request, by which a client can tell of it, and a line in the log."""

import logging
import secrets
import time
from typing import Any, Final

import falcon.asgi

from api.routes import ROUTINE_ROUTES, ids_in
from api.web.pages import FILES
from shared.process.logs import about, add_context

log = logging.getLogger(__name__)

_ID_BYTES: Final = 12
_TIMED: Final = "/v1/"


class Tracing:
    """Middleware: every answer has an `x-request-id`, those of OpenAI's API the time they took.

    Each request is one line in the log: its route, never its path or its body, and the ids of what
    it was about. A stream's line comes when it begins.
    """

    async def process_request(self, req: falcon.asgi.Request, _resp: Any) -> None:
        req.context.id = f"req_{secrets.token_hex(_ID_BYTES)}"
        req.context.began = time.perf_counter()
        add_context(request=req.context.id)

    async def process_resource(
        self, _req: falcon.asgi.Request, _resp: Any, _resource: Any, params: dict[str, Any]
    ) -> None:
        """What the path names, as far as it can be an id: a path may say anything."""
        add_context(**ids_in(params))

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        resp.set_header("x-request-id", req.context.id)
        took_ms = (time.perf_counter() - req.context.began) * 1000
        if req.path.startswith(_TIMED):
            resp.set_header("openai-processing-ms", f"{took_ms:.0f}")
        route = req.uri_template or (FILES if req.path.startswith(FILES) else None)
        is_routine = route == FILES or route in ROUTINE_ROUTES
        log.log(
            logging.DEBUG if is_routine else logging.INFO,
            "%s %s %s",
            req.method,
            route or "(nothing there)",
            resp.status_code,
            extra=about(took_ms=round(took_ms, 1), key=getattr(req.context, "guesser", None)),
        )
