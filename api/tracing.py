"""A name for each request, by which a client can tell of it."""

import secrets
import time
from typing import Any, Final

import falcon.asgi

_ID_BYTES: Final = 12
_TIMED: Final = "/v1/"


class RequestIds:
    """Middleware: every answer has an `x-request-id`, those of OpenAI's API the time they took."""

    async def process_request(self, req: falcon.asgi.Request, _resp: Any) -> None:
        req.context.id = f"req_{secrets.token_hex(_ID_BYTES)}"
        req.context.began = time.perf_counter()

    async def process_response(
        self, req: falcon.asgi.Request, resp: falcon.asgi.Response, _resource: Any, _ok: bool
    ) -> None:
        resp.set_header("x-request-id", req.context.id)
        if req.path.startswith(_TIMED):
            took_ms = (time.perf_counter() - req.context.began) * 1000
            resp.set_header("openai-processing-ms", f"{took_ms:.0f}")
