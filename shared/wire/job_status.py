"""The states of a job."""

from typing import Literal

JobStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled"]


ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
"""The terminal statuses; the events that end a job have the same names."""
