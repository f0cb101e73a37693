"""Redis's clock, which may be set at any time, compared with a clock that cannot be set.

Deadlines and leases are stored as times of the server's clock. A script that compares them gets the
time that the worker expects; if the server disagrees, its clock was stepped, and all stored times
are shifted once (docs/decisions/0025).
"""

import logging
import time
from collections.abc import Callable
from typing import Any, Final

from redis.asyncio import Redis

from shared.store.keys import Keys
from shared.store.scripts import Scripts, milliseconds

log = logging.getLogger(__name__)

_TOLERANCE_MS: Final = 2000
"""Clocks that are slewed drift by less between two comparisons."""


_PROMPT_MS: Final = 1000
"""An answer that took no longer than this is wrong by at most half of it."""


def steady_s() -> float:
    """Seconds of a clock that keeps running while this machine is suspended."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class ServerClock:
    """The time that a worker expects at its server.

    Args:
        lease_s: after a step, every worker gets a new lease of this length.
        steady: seconds by a clock that is never set.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        *,
        lease_s: float,
        steady: Callable[[], float] = steady_s,
    ) -> None:
        self._call = Scripts(redis, keys, "clock", "shift").call
        self._lease_ms = milliseconds(lease_s)
        self.steady_s = steady
        self._offset_ms: float | None = None
        self._steps = "0"
        self._looked_at_s = 0.0

    @property
    def compared_s(self) -> float:
        """Seconds since the clocks were compared."""
        return time.monotonic() - self._looked_at_s

    async def call(self, script: Callable[..., Any], *names: str, **arguments: Any) -> Any:
        """Call a script that compares times, once the server's clock is as expected.

        A slow answer looks like a step forward: the clocks are compared, and the next call may
        take longer.
        """
        slack_ms = _TOLERANCE_MS
        while True:
            if self._offset_ms is None:
                await self.look()
            answer = await script(*names, **self._expected(slack_ms), **arguments)
            if answer != ["OFF"]:
                return answer
            await self.look()
            slack_ms *= 2

    def _expected(self, slack_ms: int) -> dict[str, int]:
        assert self._offset_ms is not None
        now = round(self._offset_ms + self.steady_s() * 1000)
        return {"earliest": now - _TOLERANCE_MS, "latest": now + slack_ms}

    async def look(self) -> None:
        """Compare the clocks, and shift the stored times if the server's was stepped.

        Raises:
            RedisError: Redis does not answer.
        """
        while True:
            sent_s = self.steady_s()
            now, steps = await self._call("clock")
            if await self.compare(sent_s, int(now), steps):
                return

    async def compare(self, sent_s: float, server_ms: int, steps: str) -> bool:
        """What `look` does, with an answer of the server that came just now.

        Args:
            sent_s: when the question was sent (`steady_s`).
            server_ms: the server's time.
            steps: how often its clock was stepped.

        Returns:
            False if it came too late to tell when the server gave it.

        Raises:
            RedisError: Redis does not answer.
        """
        received_s = self.steady_s()
        if (received_s - sent_s) * 1000 > _PROMPT_MS:
            return False
        offset_ms = server_ms - (sent_s + received_s) / 2 * 1000
        if self._offset_ms is not None:
            earliest = self._offset_ms + sent_s * 1000 - _TOLERANCE_MS
            latest = self._offset_ms + received_s * 1000 + _TOLERANCE_MS
            if not earliest <= server_ms <= latest:
                await self._shift(round(offset_ms - self._offset_ms))
                self._offset_ms = None
                await self.look()
                return True
        self._offset_ms, self._steps = offset_ms, steps
        self._looked_at_s = time.monotonic()
        return True

    async def _shift(self, by_ms: int) -> None:
        log.warning("the clock of Redis was stepped by %.1f s", by_ms / 1000)
        await self._call(
            "shift",
            by=by_ms,
            steps=self._steps,
            since=milliseconds(self.compared_s),
            lease_ms=self._lease_ms,
        )
