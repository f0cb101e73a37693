"""HTTP connections: how much a client may send and how long it may take, besides the body itself.

uvicorn reads whatever is sent for as long as it is sent. Here everything but bodies counts against
one budget of bytes, every part of a request has a timeout, and what a proxy in front might
interpret differently is refused.
"""

import asyncio
import enum
import logging
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.http.incoming import BODY_TIMEOUT, BODY_TIMEOUT_S
from api.http.outgoing import Backlog, Outgoing, OutgoingLimits

log = logging.getLogger(__name__)

_FRAMING: Final = 8
"""Overhead in bytes per byte of a body: chunks may be as small as one byte."""
_GRACE_S: Final = 2.0
"""A late body is answered by the resource that reads it; this much later the connection ends."""
_VERSIONS: Final = ("1.0", "1.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The response before a connection is closed."""

    status: int
    reason: str
    code: str
    detail: str

    def to_bytes(self) -> bytes:
        """The complete response."""
        body = (
            f'{{"type":"urn:palaver:problem:{self.code}","title":"{self.reason}",'
            f'"status":{self.status},"detail":"{self.detail}","code":"{self.code}"}}'
        )
        return (
            f"HTTP/1.1 {self.status} {self.reason}\r\nContent-Type: application/problem+json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        ).encode()


def _bad(detail: str, code: str = "invalid_http") -> Refusal:
    return Refusal(status=400, reason="Bad Request", code=code, detail=detail)


_MALFORMED: Final = _bad("this is no HTTP request")
_VERSION: Final = _bad("only HTTP/1.1 and HTTP/1.0 are supported")
_HOSTS: Final = _bad("there is more than one Host header", "host_refused")
_OTHER_HOST: Final = _bad("the target names another host than the Host header", "host_refused")
_BAD_FRAMING: Final = _bad("the framing of the body is too large", "framing_too_large")
_PIPELINED: Final = _bad("too many requests were pipelined", "pipelined")
_SLOW_HEAD: Final = Refusal(
    status=408,
    reason="Request Timeout",
    code="headers_timeout",
    detail="the headers were not sent in time",
)
_SLOW_BODY: Final = Refusal(
    status=408,
    reason="Request Timeout",
    code="body_timeout",
    detail="the body was not sent in time",
)
_LONG_HEAD: Final = Refusal(
    status=431,
    reason="Request Header Fields Too Large",
    code="headers_too_large",
    detail="the headers are too long",
)


class ParsingStopped(Exception):
    """Raised in the parser's callbacks: nothing more is parsed."""


class RequestPart(enum.Enum):
    """The part of a request that is being received."""

    NOTHING = enum.auto()
    HEAD = enum.auto()
    BODY = enum.auto()


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on the time and the size of everything that is received."""

    head_timeout_s: ClassVar[float] = 15.0
    head_bytes: ClassVar[int] = 65_536
    head_fields: ClassVar[int] = 100
    body_timeout_s: ClassVar[float] = BODY_TIMEOUT_S
    most_pipelined: ClassVar[int] = 16
    outgoing: ClassVar[OutgoingLimits] = OutgoingLimits()
    backlog: ClassVar[Backlog] = Backlog()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        self._out = Outgoing(
            transport, self.loop, self.outgoing, self.backlog, self._request_is_whole
        )
        self._part, self._message = RequestPart.HEAD, 0
        self._timed: tuple[RequestPart, int] = (RequestPart.NOTHING, 0)
        self._timer: asyncio.TimerHandle | None = None
        self._overhead = self._head_length = self._beginning = 0
        self._is_silent, self._ignores_input, self._is_between = True, False, True
        self._refusal: Refusal | None = None
        self._is_continued = False
        self._answering: RequestResponseCycle | None = None
        super().connection_made(self._out)
        self._restart_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._part = RequestPart.NOTHING
        self._restart_timer()
        self._out.gone()
        # uvicorn notifies only the last of several requests.
        for cycle in (self._answering, *(cycle for cycle, _ in self.pipeline)):
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        if self._ignores_input or self._out.is_closing():
            self._out.discard(len(data))
            return
        self._is_silent = False
        self._overhead += len(data)
        self._beginning = len(data) if self._is_between else 0
        self._parse(data)
        if data.endswith(b"\n") and self._is_without_version():
            self._refusal = self._refusal or _VERSION
        if self._overhead > self.head_bytes and self._refusal is None:
            self._refusal = _BAD_FRAMING if self._part is RequestPart.BODY else _LONG_HEAD
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif self._part is RequestPart.NOTHING and not self._is_answering:
            # Bytes that do not begin a request: they have ended the keep-alive timeout.
            self._part = RequestPart.HEAD
        self._restart_timer()

    def _parse(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._continue(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self._refusal = self._refusal or _MALFORMED

    def _is_without_version(self) -> bool:
        """Whether a request line ended after its target (HTTP/0.9): no headers will follow."""
        is_in_head = self._part is RequestPart.HEAD and self._message > 0 and bool(self.url)
        return is_in_head and self.parser.get_http_version().startswith("0.")

    def _continue(self, rest: bytes) -> None:
        """Parse what follows a request that asks for an upgrade to another protocol.

        It is answered in HTTP/1.1, but the parser does not parse its body. So the rest is parsed as
        if another request with the same body began there.
        """
        framing = [
            b"%s: %s\r\n" % field
            for field in self.headers
            if field[0] in (b"content-length", b"transfer-encoding")
        ]
        if framing:
            self._is_continued = True
            rest = b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n" + rest
        if rest:
            self._parse(rest)

    def _should_upgrade(self) -> bool:
        return False

    def on_message_begin(self) -> None:
        if self._is_continued:
            return
        self._part = RequestPart.HEAD
        self._message += 1
        self._is_between = False
        # Of what came with the end of the last request, only complete headers are counted.
        self._overhead, self._beginning, self._head_length = self._beginning, 0, 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        if self._is_continued:
            return
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_continued:
            return
        self._count_head(len(name) + len(value) + len(": \r\n"))
        if self._part is RequestPart.BODY:
            return  # A trailer: it must not replace a header that has been checked already.
        super().on_header(name, value)
        if len(self.headers) > self.head_fields:
            self._stop(_LONG_HEAD)

    def _count_head(self, length: int) -> None:
        self._head_length += length
        if self._head_length > self.head_bytes:
            self._stop(_LONG_HEAD)

    def on_headers_complete(self) -> None:
        if self._is_continued:
            return
        if self.parser.get_http_version() not in _VERSIONS:
            self._stop(_VERSION)
        if len(self.pipeline) >= self.most_pipelined:
            self._stop(_PIPELINED)
        self._check_target()
        self._part = RequestPart.BODY
        self.scope[BODY_TIMEOUT] = self.body_timeout_s  # type: ignore[typeddict-unknown-key]  # ours
        super().on_headers_complete()

    def _check_target(self) -> None:
        """Refuse a request that names two hosts: proxies would disagree on which one it means."""
        hosts = [value for name, value in self.headers if name == b"host"]
        if len(hosts) > 1:
            self._stop(_HOSTS)
        if self.url.startswith((b"/", b"*")):
            return
        target = httptools.parse_url(self.url)
        authority = self.url.partition(b"//")[2].partition(b"/")[0].partition(b"?")[0]
        if target.schema is None or [authority.lower()] != [host.lower() for host in hosts]:
            self._stop(_OTHER_HOST)
        self.url = (target.path or b"/") + (b"?" + target.query if target.query else b"")

    def on_body(self, body: bytes) -> None:
        self._overhead -= (1 + _FRAMING) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self._is_continued and self.parser.should_upgrade() and self._has_body():
            return  # The body follows.
        self._is_continued = False
        self._part, self._overhead, self._is_between = RequestPart.NOTHING, 0, True
        super().on_message_complete()

    def _has_body(self) -> bool:
        return any(name in (b"content-length", b"transfer-encoding") for name, _ in self.headers)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, _adapted(cycle, app))

    def _stop(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise ParsingStopped

    @property
    def _is_answering(self) -> bool:
        return self._answering is not None and not self._answering.response_complete

    def _request_is_whole(self) -> bool:
        return self._part is RequestPart.NOTHING or self._is_silent

    def _restart_timer(self) -> None:
        """Restart the timer when another part of a request begins."""
        now = (self._part, self._message)
        if now == self._timed:
            return
        self._timed = now
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._part is RequestPart.HEAD:
            self._timer = self.loop.call_later(self.head_timeout_s, self._on_timeout)
        elif self._part is RequestPart.BODY:
            self._timer = self.loop.call_later(self.body_timeout_s + _GRACE_S, self._on_timeout)

    def _on_timeout(self) -> None:
        if self.flow.read_paused:  # By us: the client cannot send any faster.
            self._timed = (RequestPart.NOTHING, 0)
            self._restart_timer()
        elif self._is_silent:
            self._out.close()
        else:
            self._refuse(_SLOW_HEAD if self._part is RequestPart.HEAD else _SLOW_BODY)

    def _refuse(self, refusal: Refusal) -> None:
        log.debug("a connection is refused: %s", refusal.code)
        self._ignores_input = True
        if not self._can_respond():
            # It would end up inside another response, or before one. That one becomes the last.
            last = self.pipeline[0][0] if self.pipeline else self._answering
            assert last is not None
            last.keep_alive = False
            return
        if self._answering is not None:
            self._answering.disconnected = True
            self._answering.message_event.set()
        self._out.write(refusal.to_bytes())
        self._out.close()

    def _can_respond(self) -> bool:
        answering = self._answering
        if answering is None or answering.response_complete:
            return True
        is_its_own = self._part is RequestPart.BODY and answering is self.cycle
        return is_its_own and not answering.response_started


def _adapted(cycle: RequestResponseCycle, app: Any) -> Any:
    """The application, with responses adapted to the request.

    For HTTP/1.0 a response of unknown length ends with its connection, not with a last chunk. A
    connection is not kept if the response begins before the request was received completely.
    """

    async def adapted(scope: Any, receive: Any, send: Any) -> None:
        ends_with_connection = False

        async def send_adapted(message: Any) -> None:
            nonlocal ends_with_connection
            if message["type"] == "http.response.start":
                if cycle.more_body:
                    cycle.keep_alive = False
                if scope["http_version"] == "1.0" and not _has_length(message):
                    ends_with_connection = True
                    cycle.chunked_encoding = False
            elif ends_with_connection:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        await app(scope, receive, send_adapted)

    return adapted


def _has_length(message: Any) -> bool:
    return any(name.lower() == b"content-length" for name, _ in message.get("headers", ()))
