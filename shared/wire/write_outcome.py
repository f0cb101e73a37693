"""The outcome of writing to a turn."""

from enum import StrEnum


class WriteOutcome(StrEnum):
    """The outcome of a write under a fence."""

    OK = "OK"
    DUP = "DUP"
    """It had been done before, which is a success."""
    FENCED = "FENCED"
    """Refused: another worker has the turn, or it has ended."""
    GONE = "GONE"
    """The conversation was deleted."""
