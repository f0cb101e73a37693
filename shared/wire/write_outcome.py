"""How a write to a turn ended."""

from enum import StrEnum


class WriteOutcome(StrEnum):
    """What became of a worker's write."""

    OK = "OK"
    DUP = "DUP"
    """It had been done before: a success."""
    FENCED = "FENCED"
    """The turn is somebody else's now, or has ended."""
    GONE = "GONE"
    """The conversation was deleted."""
