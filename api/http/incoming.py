"""The way in of one request: its body, as long as that may take, and then its client's leaving."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Self

import falcon.asgi

from shared.process.tasks import end

Receive = Callable[[], Awaitable[dict[str, Any]]]

BODY_TIMEOUT_S: Final = 30.0
BODY_TIMEOUT: Final = "palaver.body_timeout_s"
"""Where in a request's scope its server says that it is in more of a hurry."""
_INCOMING: Final = "palaver.incoming"
_BEGIN: Final = {"type": "http.request", "body": b"", "more_body": True}
_END: Final = {"type": "http.disconnect"}


class Incoming:
    """A request's `receive` (ASGI), with an end to every wait.

    The first event comes at once and holds nothing: headers are judged before anything of a body
    has come, and a client that waits to be asked for its body (`Expect`) is asked only if its body
    is read. A body that takes too long ends as if its client had left, and `is_late` tells.
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
        """That of a request."""
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
        """Return when the client has gone, or its body is late."""
        while (await self())["type"] != "http.disconnect":
            pass

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """Wait for something in here only as long as the client is there.

        Somebody else has to `receive` meanwhile.

        Raises:
            TimeoutError: it has left.
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
        """As `waiting`, where nobody else receives."""
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
