"""Request bodies: counted while they are read, JSON whatever the content type says."""

from typing import Any, Final

import falcon.asgi
import orjson

from api.http.errors import Problem
from api.http.incoming import Incoming

_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_IDENTITY: Final = ("", "identity")


async def read_json_object(req: falcon.asgi.Request, max_bytes: int) -> dict[str, Any]:
    """The body as a JSON object.

    `curl -d` sends a form's content type, so that it is not looked at.

    Raises:
        Problem: 400 not a JSON object in UTF-8 · 408 not sent in time · 413 too long · 415
            compressed.
    """
    coding = req.get_header("Content-Encoding") or ""
    if any(one.strip().lower() not in _IDENTITY for one in coding.split(",")):
        detail = f"Content-Encoding: {coding[:50]}: bodies are taken uncompressed only"
        headers = {"Accept-Encoding": "identity"}
        raise Problem(415, "unsupported_content_encoding", detail, headers=headers)
    data = await _read(req, max_bytes)
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Problem(400, "invalid_body", _reason(data, error)) from None
    if not isinstance(body, dict):
        raise Problem(400, "invalid_body", "the body is JSON, but not an object")
    return body


def _reason(data: bytes, error: orjson.JSONDecodeError) -> str:
    """Why a body is not JSON, in words that name the cause."""
    said = str(error)
    if data.startswith(b"\xef\xbb\xbf"):
        return "the body begins with a byte order mark (BOM): send it without"
    if data.startswith(_UTF_16) or b"\0" in data[:4]:
        return "the body is UTF-16 or UTF-32, not UTF-8"
    if "surrogate in string" in said:
        return f"the body has half of a surrogate pair, which is no character: {said}"
    if "not valid UTF-8" in said:
        try:
            data.decode()
        except UnicodeDecodeError as cause:
            return f"the body is not UTF-8: {cause.reason} at byte {cause.start}"
    if "depth limit" in said:
        return f"the body is nested too deeply: {said}"
    return f"the body is not JSON in UTF-8: {said}"


async def _read(req: falcon.asgi.Request, max_bytes: int) -> bytes:
    too_long = Problem(413, "body_too_large", f"the body is longer than {max_bytes} bytes")
    if (req.content_length or 0) > max_bytes:
        raise too_long
    data = bytearray()
    async for chunk in req.stream:
        data += chunk
        if len(data) > max_bytes:
            raise too_long
    incoming = Incoming.of(req)
    if incoming.is_late:
        raise Problem(408, "body_timeout", "the body was not sent in time")
    if (req.content_length is not None and len(data) < req.content_length) or incoming.has_left:
        raise Problem(400, "invalid_body", "the body ended early")
    return bytes(data)
