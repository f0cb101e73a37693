"""Request bodies: counted while they are read, JSON whatever the content type says."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import falcon.asgi
import orjson

from api.errors import Problem

Receive = Callable[[], Awaitable[dict[str, Any]]]

_BODY_TIMEOUT_S: Final = 30.0
_DISCARD_S: Final = 2.0
_DISCARD_TIMES: Final = 8
"""How much more than allowed is read of a body that is too long, so that its client hears of it."""
_CUT_OFF: Final = "palaver.cut_off"
_CLOSE: Final = {"Connection": "close"}


def noting_disconnects(scope: dict[str, Any], receive: Receive) -> Receive:
    """`receive`, noting in the scope that the client went away: falcon takes it for the end."""

    async def watched() -> dict[str, Any]:
        event = await receive()
        if event["type"] == "http.disconnect":
            scope[_CUT_OFF] = True
        return event

    return watched


def is_cut_off(scope: Mapping[str, Any]) -> bool:
    """Whether the client went away before its body was whole."""
    return _CUT_OFF in scope


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
    if (req.content_length is not None and length < req.content_length) or is_cut_off(req.scope):
        raise Problem(400, "invalid_body", "the body ended early", headers=_CLOSE)
    return bytes(data)
