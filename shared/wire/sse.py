"""Server-sent events, decoded as the HTML standard describes, from chunks cut anywhere."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_LINE_END: Final = re.compile(rb"\r\n|\r|\n")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event of a stream.

    Attributes:
        name: `message` where the stream gives none.
        data: its `data` lines, joined by line feeds.
        id: the last id that the stream has given, here or earlier: where to resume.
    """

    name: str
    data: str
    id: str


class EventDecoder:
    """Turns the bytes of one stream into events. An event that never gets its blank line is lost.

    Attributes:
        retry_ms: how long the server wants clients to wait before they reconnect, if it says so.
    """

    def __init__(self) -> None:
        self.retry_ms: int | None = None
        self._line = bytearray()
        self._is_first_line = True
        self._ended_with_cr = False
        self._name = ""
        self._data: list[str] = []
        self._id = ""

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that this chunk completes."""
        return [event for line in self._lines(chunk) if (event := self.take_line(line)) is not None]

    def _lines(self, chunk: bytes) -> Iterator[str]:
        """The lines that this chunk completes. A lone CR ends one at once: no wait for an LF."""
        if not chunk:
            return
        if self._ended_with_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._ended_with_cr = chunk.endswith(b"\r")
        *ends, rest = _LINE_END.split(chunk)
        for end in ends:
            self._line += end
            yield self._decoded_line()
            self._line.clear()
        self._line += rest

    def _decoded_line(self) -> str:
        line = bytes(self._line)
        if self._is_first_line:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._is_first_line = False
        return line.decode("utf-8", "replace")

    def take_line(self, line: str) -> ServerSentEvent | None:
        """The event that ends with this line, which must be blank for that."""
        if not line:
            return self._complete()
        name, _, value = line.partition(":")
        self._take_field(name, value.removeprefix(" "))
        return None

    def _take_field(self, name: str, value: str) -> None:
        """Fields without a meaning, comments among them, are ignored."""
        match name:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._id = value
            case "retry" if value.isascii() and value.isdigit():
                self.retry_ms = int(value)

    def _complete(self) -> ServerSentEvent | None:
        name, data = self._name or "message", self._data
        self._name, self._data = "", []
        if not data:
            return None
        return ServerSentEvent(name=name, data="\n".join(data), id=self._id)
