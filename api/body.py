"""Request bodies: counted while they are read, JSON whatever the content type says."""

import asyncio
from typing import Any, Final

import falcon.asgi
import orjson

from api.errors import Problem

_BODY_TIMEOUT_S: Final = 30.0


async def read_json_object(req: falcon.asgi.Request, max_bytes: int) -> dict[str, Any]:
    """The body as a JSON object.

    `curl -d` sends a form's content type, so that it is not looked at.

    Raises:
        Problem: 400 not a JSON object in UTF-8 · 408 not sent in time · 413 too long.
    """
    data = await _read(req, max_bytes)
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "invalid_body", f"the body is not JSON in UTF-8: {error}") from None
    if not isinstance(body, dict):
        raise Problem(400, "invalid_body", "the body is JSON, but not an object")
    return body


async def _read(req: falcon.asgi.Request, max_bytes: int) -> bytes:
    if (req.content_length or 0) > max_bytes:
        raise _too_long(max_bytes)
    data = bytearray()
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            async for chunk in req.stream:
                data += chunk
                if len(data) > max_bytes:
                    raise _too_long(max_bytes)
    except TimeoutError:
        raise Problem(408, "body_timeout", "the body was not sent in time") from None
    return bytes(data)


def _too_long(max_bytes: int) -> Problem:
    # The rest of the body is not read: the connection cannot be used again.
    return Problem(
        413,
        "body_too_large",
        f"the body is longer than {max_bytes} bytes",
        headers={"Connection": "close"},
    )
