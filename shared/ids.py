"""Identifiers: conversations are unguessable numbers, jobs are unguessable and time-ordered.

A worker's id says where it runs.
"""

import os
import re
import secrets
import socket
import time

MAX_CONVERSATION = 2**53 - 1
"""The largest integer that every JSON client reads exactly."""

_JOB = re.compile(r"[0-9a-f]{32}")
_PREFIXED_JOB = re.compile(r"(?:resp_|chatcmpl-)?([0-9a-f]{32})")
_PREFIXED_CONVERSATION = re.compile(r"(?:conv_)?([1-9]\d{0,15})", re.ASCII)


def new_conversation() -> str:
    """A random conversation id, as a decimal string."""
    return str(secrets.randbelow(MAX_CONVERSATION) + 1)


def new_job() -> str:
    """A job id: 32 hex digits, 12 for the time in milliseconds and 20 (80 bits) random."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def new_share() -> str:
    """An id of a link to a conversation: 32 hex digits, all random."""
    return secrets.token_hex(16)


def is_job(text: str) -> bool:
    """Whether `text` has the form of a job id."""
    return _JOB.fullmatch(text) is not None


def job_in(text: str) -> str | None:
    """The job of an id as any of the APIs writes it; None if it is not a job's."""
    match = _PREFIXED_JOB.fullmatch(text)
    return match and match[1]


def conversation_in(text: str) -> str | None:
    """The conversation of an id as any of the APIs writes it; None if it is not one's."""
    match = _PREFIXED_CONVERSATION.fullmatch(text)
    return match and match[1]


def new_worker() -> str:
    """An id for this process that is never used again: host, process and a random part."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


def host_of(worker_id: str) -> str:
    """The host on which a worker runs."""
    return worker_id.rsplit(":", 2)[0]
