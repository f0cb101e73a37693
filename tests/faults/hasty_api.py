"""An API process with little patience: what takes a minute elsewhere takes a second here.

python -m tests.faults.hasty_api
"""

import asyncio
import socket
from typing import Any

from api.http.connections import BoundedProtocol
from api.http.outgoing import OutgoingLimits
from api.server import main


class Hasty(BoundedProtocol):
    """Waits for a moment only."""

    head_timeout_s = 0.6
    body_timeout_s = 0.8
    outgoing = OutgoingLimits(unread_s=0.8, linger_s=0.3, linger_total_s=1.0)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.timeout_keep_alive = 1

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        # What is not read is kept here, where it counts, and not by the system.
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().connection_made(transport)


LIFETIME_S = 8.0
"""No connection that begins no stream may last longer here: body, grace, linger, and slack."""

if __name__ == "__main__":
    main(Hasty)
