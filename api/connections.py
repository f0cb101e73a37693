"""HTTP connections that take too long, or too much, before their request has begun.

uvicorn waits for a request's headers for as long as somebody sends them, and keeps all of them.
"""

import asyncio
from typing import ClassVar, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_TOO_SLOW: Final = (408, "Request Timeout", "headers_timeout", "the headers were not sent in time")
_TOO_LONG: Final = (
    431,
    "Request Header Fields Too Large",
    "headers_too_large",
    "the headers are too long",
)


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's, with limits on the time and the size of a request's headers."""

    head_timeout_s: ClassVar[float] = 15.0
    head_bytes: ClassVar[int] = 65_536

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        self._deadline: asyncio.TimerHandle | None = None
        self._received = 0
        self._in_body = False
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._deadline is None and not self._in_body and not self._is_answering:
            # Something that begins no request: it has ended the time that an idle connection has.
            self._await_head()
        if self._deadline is not None:
            self._received += len(data)
            if self._received > self.head_bytes:
                self._refuse(*_TOO_LONG)

    def on_message_begin(self) -> None:
        if self._deadline is None:
            self._await_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_arrived()
        self._in_body = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._in_body = False
        super().on_message_complete()

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _await_head(self) -> None:
        self._received = 0
        self._deadline = self.loop.call_later(self.head_timeout_s, self._late)

    def _head_arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        if self._received:
            self._refuse(*_TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, status: int, reason: str, code: str, detail: str) -> None:
        self._head_arrived()
        if not self._is_answering:  # else it would stand in the middle of another answer
            body = (
                f'{{"type":"urn:palaver:problem:{code}","title":"{reason}","status":{status},'
                f'"detail":"{detail}","code":"{code}"}}'
            )
            self.transport.write(
                f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/problem+json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
            )
        self.transport.close()
