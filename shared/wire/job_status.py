"""The states of a job."""

from typing import Literal

JobStatus = Literal["queued", "in_progress", "completed", "failed", "cancelled"]


ENDED: frozenset[str] = frozenset({"completed", "failed", "cancelled"})
"""Statuses and events after which nothing of a job changes."""
