"""arq's records of a start, kept in this process instead of in Redis.

`Worker.run_job` begins by reading the job's definition and counting its tries. Here the function is
always the same, the arq id names the turn, and every start has its own id. The answers are thus
known, which saves two round trips per turn (docs/decisions/0003).
"""

from types import TracebackType
from typing import Any, Self

import orjson
from arq.connections import ArqRedis
from arq.jobs import serialize_job
from arq.utils import timestamp_ms


class ArqRecords(ArqRedis):
    """The pool that arq gets.

    Args:
        function: name of the only job function.
        connection_pool: for the few questions that arq asks a real server at its start.
    """

    def __init__(self, function: str, connection_pool: Any) -> None:
        super().__init__(connection_pool)
        self._function = function

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Any:
        if not transaction:
            return super().pipeline(transaction, shard_hint)
        return _StartRecord(self._function)

    async def delete(self, *names: Any) -> int:
        """Nothing was stored, so there is nothing to delete."""
        return len(names)


class _StartRecord:
    """The transaction of `run_job`: GET the definition, INCR the tries, EXPIRE them."""

    def __init__(self, function: str) -> None:
        self._function = function

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to release."""

    def get(self, name: str) -> None: ...

    def incr(self, name: str) -> None: ...

    def expire(self, name: str, seconds: int) -> None: ...

    async def execute(self) -> tuple[bytes | None, int, bool]:
        """The definition, "this is the first try" and "it will expire"."""
        now_ms = timestamp_ms()
        definition = serialize_job(self._function, (), {}, None, now_ms, serializer=orjson.dumps)
        return definition, 1, True
