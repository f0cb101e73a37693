"""Request bodies: counted while they are read, JSON whatever the content type says."""

import asyncio
from typing import Any, Final

import falcon.asgi
import orjson

from api.errors import Problem

_BODY_TIMEOUT_S: Final = 30.0
_DISCARD_S: Final = 2.0
_DISCARD_TIMES: Final = 8
"""How much more than allowed is read of a body that is too long, so that its client hears of it."""
_CLOSE: Final = {"Connection": "close"}


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
    """The body, if it is not too long.

    Of one that is, some more is read and thrown away: a connection that is closed while its client
    still sends is reset, and the answer lost with it. A client that asked first
    (`Expect: 100-continue`) has not sent anything.
    """
    too_long = Problem(
        413, "body_too_large", f"the body is longer than {max_bytes} bytes", headers=_CLOSE
    )
    if (req.content_length or 0) > max_bytes and req.get_header("Expect") is not None:
        raise too_long
    data, length = bytearray(), 0
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S) as limit:
            async for chunk in req.stream:
                if length <= max_bytes < length + len(chunk):
                    data.clear()
                    limit.reschedule(asyncio.get_running_loop().time() + _DISCARD_S)
                length += len(chunk)
                if length <= max_bytes:
                    data += chunk
                elif length > _DISCARD_TIMES * max_bytes:
                    break
    except TimeoutError:
        if length <= max_bytes:
            detail = "the body was not sent in time"
            raise Problem(408, "body_timeout", detail, headers=_CLOSE) from None
    if length > max_bytes:
        raise too_long
    return bytes(data)
