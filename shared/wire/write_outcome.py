"""The outcome of writing to a turn."""

from enum import StrEnum


class WriteOutcome(StrEnum):
    """The outcome of a write under a fence."""

    OK = "OK"
    DUP = "DUP"
    """It had been done before, which is a success."""
    FENCED = "FENCED"
    """Refused: another worker has the turn, or it has ended."""
    BEHIND = "BEHIND"
    """Refused: what was published before it is not there any more. A replica has taken over that
    lacks it; everything since then is to be published again."""
    GONE = "GONE"
    """The conversation was deleted."""
