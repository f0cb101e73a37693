"""Times as clients get them."""

from datetime import UTC, datetime


def rfc3339(timestamp_ms: int) -> str:
    """UTC with milliseconds, as `2026-01-31T12:00:00.000Z`."""
    moment = datetime.fromtimestamp(timestamp_ms / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
