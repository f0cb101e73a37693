"""A request's way in: its body, as long as that may take, and then its client's leaving."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Self, TypeVar

import falcon
import falcon.asgi
import falcon.media
import orjson
from falcon.routing import CompiledRouter
from pydantic import BaseModel, ValidationError

from api.http.errors import Problem
from api.http.validation import validation_problem
from shared.process.tasks import end

M = TypeVar("M", bound=BaseModel)
Receive = Callable[[], Awaitable[dict[str, Any]]]

BODY_TIMEOUT_S: Final = 30.0
BODY_TIMEOUT: Final = "palaver.body_timeout_s"
"""Where in a request's scope its server sets another timeout."""
_INCOMING: Final = "palaver.incoming"
_AT_END: Final = "palaver.at_end"
_BEGIN: Final = {"type": "http.request", "body": b"", "more_body": True}
_END: Final = {"type": "http.disconnect"}
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_IDENTITY: Final = ("", "identity")


class Application(falcon.asgi.App[Any, Any]):
    """A falcon application that never waits for a client without end, and whose media are JSON."""

    def __init__(self, middleware: list[Any], router: CompiledRouter) -> None:
        super().__init__(middleware=middleware, router=router)
        self.req_options.strip_url_path_trailing_slash = True
        json = falcon.media.JSONHandler(dumps=orjson.dumps, loads=orjson.loads)
        self.resp_options.media_handlers[falcon.MEDIA_JSON] = json

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # type: ignore[override]
        if scope["type"] == "http":
            receive = Incoming(receive, scope)
        try:
            await super().__call__(scope, receive, send)
        finally:
            if (call := scope.get(_AT_END)) is not None:
                call()


def call_at_end(req: falcon.asgi.Request, call: Callable[[], None]) -> None:
    """Call something once, when all of a response has been sent, or nobody reads it any more."""
    req.scope[_AT_END] = call


class Incoming:
    """A request's `receive` (ASGI) on which every wait ends.

    The first event comes at once and is empty. So headers are judged before any of the body has
    come, and a client that waits for permission to send its body (`Expect`) gets it only if the
    body is read. A body that takes too long ends as if its client had left, and `is_late` is set.
    """

    def __init__(self, receive: Receive, scope: dict[str, Any]) -> None:
        timeout_s = scope.get(BODY_TIMEOUT, BODY_TIMEOUT_S)
        self._receive = receive
        self._until = asyncio.get_running_loop().time() + timeout_s
        self._has_begun = self._is_whole = False
        self._waiting: asyncio.Timeout | None = None
        self.is_late = False
        self.has_left = False
        scope[_INCOMING] = self

    @classmethod
    def of(cls, req: falcon.asgi.Request) -> Self:
        """The one that this request came in by."""
        incoming: Self = req.scope[_INCOMING]
        return incoming

    async def __call__(self) -> dict[str, Any]:
        """The next event."""
        if not self._has_begun:
            self._has_begun = True
            return _BEGIN
        try:
            async with asyncio.timeout_at(None if self._is_whole else self._until):
                event = await self._receive()
        except TimeoutError:
            self.is_late = True
            return _END
        if event["type"] == "http.disconnect":
            self._leave()
        elif not event.get("more_body", False):
            self._is_whole = True
        return event

    async def left(self) -> None:
        """Return when the client has left, or its body is late."""
        while (await self())["type"] != "http.disconnect":
            pass

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for something in here only as long as the client is there.

        Another task has to `receive` meanwhile.

        Raises:
            TimeoutError: the client has left.
        """
        async with asyncio.timeout(None) as limit:
            if self.has_left:
                _end_now(limit)
            self._waiting = limit
            try:
                yield
            finally:
                self._waiting = None

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """As `waiting`, where no other task receives."""
        leaving = asyncio.create_task(self.left())
        try:
            async with self.waiting():
                yield
        finally:
            await end(leaving)

    def _leave(self) -> None:
        self.has_left = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            _end_now(waiting)


def _end_now(limit: asyncio.Timeout) -> None:
    limit.reschedule(asyncio.get_running_loop().time())


async def read_json_object(req: falcon.asgi.Request, max_bytes: int) -> dict[str, Any]:
    """The body as a JSON object, whatever the content type: `curl -d` sends a form's.

    Raises:
        Problem: 400 not a JSON object in UTF-8 · 408 not sent in time · 413 too long · 415
            compressed.
    """
    coding = req.get_header("Content-Encoding") or ""
    if any(name.strip().lower() not in _IDENTITY for name in coding.split(",")):
        detail = f"Content-Encoding: {coding[:50]}: bodies are accepted uncompressed only"
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


def parse(kind: type[M], body: Any, context: dict[str, Any] | None = None) -> M:
    """A client's JSON as a model.

    Raises:
        Problem: 422, naming every wrong field.
    """
    try:
        return kind.model_validate(body, context=context)
    except ValidationError as error:
        raise validation_problem(error, body) from None


async def _read(req: falcon.asgi.Request, max_bytes: int) -> bytes:
    if (req.content_length or 0) > max_bytes:
        raise _too_long(max_bytes)
    data = bytearray()
    async for chunk in req.stream:
        data += chunk
        if len(data) > max_bytes:
            raise _too_long(max_bytes)
    incoming = Incoming.of(req)
    if incoming.is_late:
        raise Problem(408, "body_timeout", "the body was not sent in time")
    if (req.content_length is not None and len(data) < req.content_length) or incoming.has_left:
        raise Problem(400, "invalid_body", "the body ended early")
    return bytes(data)


def _too_long(max_bytes: int) -> Problem:
    return Problem(413, "body_too_large", f"the body is longer than {max_bytes} bytes")


def _reason(data: bytes, error: orjson.JSONDecodeError) -> str:
    """Why a body is not JSON, naming the cause."""
    message = str(error)
    if data.startswith(b"\xef\xbb\xbf"):
        return "the body begins with a byte order mark (BOM): send it without"
    if data.startswith(_UTF_16) or b"\0" in data[:4]:
        return "the body is UTF-16 or UTF-32, not UTF-8"
    if "surrogate in string" in message:
        return f"the body contains half of a surrogate pair, which is not a character: {message}"
    if "not valid UTF-8" in message:
        try:
            data.decode()
        except UnicodeDecodeError as cause:
            return f"the body is not UTF-8: {cause.reason} at byte {cause.start}"
    if "depth limit" in message:
        return f"the body is nested too deeply: {message}"
    return f"the body is not JSON in UTF-8: {message}"
