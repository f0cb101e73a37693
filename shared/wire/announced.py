"""What a worker learns when it reports."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeper:
    """Who keeps the queue.

    Args:
        worker_id: None if nobody does.
        workers: that could do it, those included that died a moment ago.
    """

    worker_id: str | None
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Announced:
    """The answer to a worker's report.

    Args:
        is_draining: whether the worker is to take no more turns.
        server_ms: the server's time, since the epoch.
        steps: how often its clock was stepped.
    """

    is_draining: bool
    keeper: Keeper
    server_ms: int
    steps: str
