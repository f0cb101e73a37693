"""The clock of Redis's machine, which may be set at any time, against one that cannot be.

Deadlines and leases are stored as moments by the server's clock. Before a worker judges by them it
says when it expects to be there; if the server disagrees, its clock was stepped, and everything
stored is moved along once (docs/decisions/0025).
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
"""Clocks that are slewed differ by less between two looks."""


_PROMPT_MS: Final = 1000
"""An answer within this time is wrong by half of it at most."""


def steady_s() -> float:
    """Seconds that go on through a suspend, as the clocks of other machines do."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class ServerClock:
    """What time a worker expects at its server.

    Args:
        lease_s: what whoever holds a turn is given after a step.
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
        self._steady = steady
        self._offset_ms: float | None = None
        self._steps = "0"
        self._looked_at_s = 0.0

    async def call(self, script: Callable[..., Any], *names: str, **arguments: Any) -> Any:
        """Call a script that judges by the server's clock, once that is where it should be.

        An answer that was long on its way looks like a step forward: it is looked at, and the next
        time may take longer.
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
        now = round(self._offset_ms + self._steady() * 1000)
        return {"earliest": now - _TOLERANCE_MS, "latest": now + slack_ms}

    async def look(self) -> None:
        """Compare the clocks; a step is made up for.

        Raises:
            RedisError: Redis does not answer.
        """
        asked_s, heard_s, now, steps = await self._asked()
        offset_ms = int(now) - (asked_s + heard_s) / 2 * 1000
        if self._offset_ms is not None:
            earliest = self._offset_ms + asked_s * 1000 - _TOLERANCE_MS
            latest = self._offset_ms + heard_s * 1000 + _TOLERANCE_MS
            if not earliest <= int(now) <= latest:
                await self._shift(round(offset_ms - self._offset_ms))
                self._offset_ms = None
                await self.look()
                return
        self._offset_ms, self._steps = offset_ms, steps
        self._looked_at_s = time.monotonic()

    async def _asked(self) -> tuple[float, float, str, str]:
        """When it was asked and heard what the server's clock says, and how often that was stepped.

        An answer that was long on its way, or waited for a busy process, says nothing of when it
        was given.
        """
        while True:
            asked_s = self._steady()
            now, steps = await self._call("clock")
            heard_s = self._steady()
            if (heard_s - asked_s) * 1000 <= _PROMPT_MS:
                return asked_s, heard_s, now, steps

    async def _shift(self, by_ms: int) -> None:
        log.warning("the clock of Redis was stepped by %.1f s", by_ms / 1000)
        await self._call(
            "shift",
            by=by_ms,
            steps=self._steps,
            since=milliseconds(time.monotonic() - self._looked_at_s),
            lease_ms=self._lease_ms,
        )
