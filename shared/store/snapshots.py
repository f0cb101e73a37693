"""What all workers reported, read once for all API processes.

Reading a thousand workers takes a thousand calls. So one API process does it in each period, and
stores what it has read for the others, which need one call. Reading a thousand reports keeps a core
busy for some 50 ms, in a thread, as streams must not wait for it.
"""

import asyncio
import base64
import contextlib
import time
import zlib
from collections.abc import Mapping
from typing import Final

import orjson
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from shared.store.keys import Keys
from shared.store.scripts import milliseconds
from shared.store.workers import Workers
from shared.wire.worker_report import WorkerReport

Stored = Mapping[str, Mapping[str, str]]
"""The fields of each worker's hash, by its id."""

_KEPT_PERIODS: Final = 3
"""After so many periods without a new one, a snapshot is not believed."""
_TAKEN_SHARE: Final = 0.9
"""Of a period; the next one may be taken then, by whoever comes first."""


class Snapshots:
    """The reports of all workers, at most about a period old.

    Args:
        period_s: how often they are to be read.
    """

    def __init__(self, redis: Redis, keys: Keys, workers: Workers, *, period_s: float) -> None:
        self.period_s = period_s
        self._redis = redis
        self._keys = keys
        self._workers = workers
        self._text: str | None = None
        self._reports: Mapping[str, WorkerReport] = {}
        self._good_until_s = float("-inf")

    async def latest(self) -> Mapping[str, WorkerReport]:
        """As of the last refresh of this process, if that was lately."""
        if time.monotonic() > self._good_until_s:
            await self.refresh()
        return self._reports

    async def refresh(self) -> Mapping[str, WorkerReport]:
        """Read all workers if it is time, else what another process has read.

        Raises:
            RedisError, OSError: Redis is unavailable.
        """
        self._reports = await self._take() if await self._is_due() else await self._shared()
        self._good_until_s = time.monotonic() + _KEPT_PERIODS * self.period_s
        return self._reports

    async def _is_due(self) -> bool:
        """Whether nobody has begun to read them in this period; then it is this process's turn."""
        until_ms = milliseconds(_TAKEN_SHARE * self.period_s)
        try:
            return bool(await self._redis.set(self._keys.snapshot_taken, "1", nx=True, px=until_ms))
        except ResponseError:
            # Memory is short, for example: nothing can be shared now.
            return True

    async def _take(self) -> Mapping[str, WorkerReport]:
        stored = await self._workers.stored()
        self._text = None
        kept_ms = milliseconds(_KEPT_PERIODS * self.period_s)
        text = await asyncio.to_thread(encoded, stored)
        with contextlib.suppress(ResponseError):
            await self._redis.set(self._keys.snapshot, text, px=kept_ms)
        return await asyncio.to_thread(_reports, stored)

    async def _shared(self) -> Mapping[str, WorkerReport]:
        """What was stored last; a process that finds nothing to read looks for itself."""
        text = await self._redis.get(self._keys.snapshot)
        if text is not None and text == self._text:
            return self._reports
        stored = None if text is None else await asyncio.to_thread(decoded, text)
        if stored is None:
            stored, text = await self._workers.stored(), None
        reports = await asyncio.to_thread(_reports, stored)
        # Together, and in the end: two calls may run at once.
        self._text, self._reports = text, reports
        return reports


def encoded(stored: Stored) -> str:
    """Compressed, as everything that is written goes into the server's append-only file, too."""
    return base64.b64encode(zlib.compress(orjson.dumps(stored), level=1)).decode()


def decoded(text: str) -> Stored | None:
    """None if this version cannot read it."""
    try:
        stored = orjson.loads(zlib.decompress(base64.b64decode(text)))
    except (ValueError, zlib.error):
        return None
    is_known = isinstance(stored, dict) and all(isinstance(one, dict) for one in stored.values())
    return stored if is_known else None


def _reports(stored: Stored) -> Mapping[str, WorkerReport]:
    return {worker: WorkerReport.decode(fields) for worker, fields in stored.items()}
