"""What comes of asking a worker to drain."""

from enum import StrEnum


class DrainAnswer(StrEnum):
    """Whether the worker drains.

    `OLD`: it runs a version that cannot be asked.
    """

    OK = "OK"
    GONE = "GONE"
    OLD = "OLD"
