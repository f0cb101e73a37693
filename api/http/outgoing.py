"""A connection's way out: how long, and how much of, a response may wait to be read."""

import asyncio
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""`SO_LINGER`: what the kernel still holds for the client is dropped with the connection."""
_PACE_S: Final = 0.05
"""Between two pieces of discarded data: a client that floods us must not slow the others down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingLimits:
    """How patient a connection is with its client.

    Args:
        unread_s: a client that is behind must read `unread_bytes` in this time, or is cut off.
        all_unread_bytes: of all clients of this process together; above it the worst are cut off.
        stale_s: a client that has been behind for less is spared: it may be reading.
        linger_s: how long a closing connection waits for more of an incomplete request.
        linger_total_s: how long it waits in total.
        linger_bytes: how much of it is discarded.
    """

    unread_s: float = 15.0
    unread_bytes: int = 65_536
    all_unread_bytes: int = 32 << 20
    stale_s: float = 2.0
    linger_s: float = 2.0
    linger_total_s: float = 30.0
    linger_bytes: int = 8 << 20


class Backlog:
    """What all clients of a process together have not read yet."""

    def __init__(self) -> None:
        self._behind: set[Outgoing] = set()
        self._upper_bound = 0

    def add(self, outgoing: "Outgoing", size: int, most: int) -> None:
        """Add what was written; cut clients off if all of it together exceeds `most` bytes."""
        self._behind.add(outgoing)
        self._upper_bound += size
        if self._upper_bound > most:
            self._cut(most)

    def remove(self, outgoing: "Outgoing") -> None:
        """Everything was read, or the connection is gone."""
        self._behind.discard(outgoing)

    def _cut(self, most: int) -> None:
        worst_first = sorted(self._behind, key=Outgoing.get_write_buffer_size, reverse=True)
        total = sum(outgoing.get_write_buffer_size() for outgoing in worst_first)
        for outgoing in worst_first:
            if total <= most // 2:
                break
            if outgoing.is_stale:
                total -= outgoing.get_write_buffer_size()
                outgoing.abort()
        # Not counted again with every write, even if no client could be cut off.
        self._upper_bound = min(total, most - most // 4)


class Outgoing(asyncio.Transport):
    """A connection's transport as uvicorn sees it.

    A client that does not read is cut off. A connection that is closed while its client sends is
    reset, and the response is lost with it. So after an incomplete request, closing first shuts
    down our side, and for a moment discards what still arrives.

    Args:
        request_is_whole: whether the request has been received completely.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        limits: OutgoingLimits,
        backlog: Backlog,
        request_is_whole: Callable[[], bool],
    ) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._limits = limits
        self._backlog = backlog
        self._request_is_whole = request_is_whole
        self._reading: asyncio.TimerHandle | None = None
        self._written = self._taken = 0
        self._behind_since = 0.0
        self.is_lingering = False
        self._lingering: asyncio.TimerHandle | None = None
        self._linger_until = 0.0
        self._discarded = self._discarded_before = 0
        self._pacing: asyncio.TimerHandle | None = None

    @property
    def is_stale(self) -> bool:
        """Whether its client has been behind for longer than it takes to read."""
        return self._loop.time() - self._behind_since > self._limits.stale_s

    def write(self, data: Any) -> None:
        """Send, unless the connection is closing."""
        if self.is_closing():
            return
        self._transport.write(data)
        self._written += len(data)
        if self._reading is None:
            self._behind_since = self._loop.time()
            self._taken = self._written - len(data)
            self._reading = self._loop.call_later(self._limits.unread_s, self._check)
        self._backlog.add(self, len(data), self._limits.all_unread_bytes)

    def _check(self) -> None:
        """Cut the client off unless it has read enough since the last check."""
        self._reading = None
        unread = self._transport.get_write_buffer_size()
        taken = self._written - unread
        if not unread:
            self._backlog.remove(self)
        elif taken - self._taken < self._limits.unread_bytes:
            self.abort()
        else:
            self._taken = taken
            self._reading = self._loop.call_later(self._limits.unread_s, self._check)

    def close(self) -> None:
        """Close the connection once everything was sent."""
        if self.is_closing():
            return
        if self._request_is_whole():
            self._transport.close()
            return
        self.is_lingering = True
        self._linger_until = self._loop.time() + self._limits.linger_total_s
        self._transport.write_eof()
        self._transport.resume_reading()
        self._lingering = self._loop.call_later(self._limits.linger_s, self._check_lingering)

    def discard(self, size: int) -> None:
        """Discard data that came after the response."""
        self._discarded += size
        if self._discarded > self._limits.linger_bytes:
            self._transport.close()
        elif self._pacing is None and not self._transport.is_closing():
            self._transport.pause_reading()
            self._pacing = self._loop.call_later(_PACE_S, self._read_on)

    def _read_on(self) -> None:
        self._pacing = None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _check_lingering(self) -> None:
        if self._discarded == self._discarded_before or self._loop.time() > self._linger_until:
            self._transport.close()
        else:
            self._discarded_before = self._discarded
            self._lingering = self._loop.call_later(self._limits.linger_s, self._check_lingering)

    def abort(self) -> None:
        """Reset the connection, and drop what was not read."""
        connection = self._transport.get_extra_info("socket")
        if connection is not None and not self._transport.is_closing():
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
        self._transport.abort()

    def gone(self) -> None:
        """Release everything, because the connection has ended."""
        self._backlog.remove(self)
        for timer in (self._reading, self._lingering, self._pacing):
            if timer is not None:
                timer.cancel()

    def is_closing(self) -> bool:
        """Whether nothing more can be sent."""
        return self.is_lingering or self._transport.is_closing()

    def pause_reading(self) -> None:
        """As `asyncio.Transport`'s."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """As `asyncio.Transport`'s."""
        self._transport.resume_reading()

    def get_write_buffer_size(self) -> int:
        """As `asyncio.Transport`'s."""
        return self._transport.get_write_buffer_size()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As `asyncio.Transport`'s."""
        return self._transport.get_extra_info(name, default)
