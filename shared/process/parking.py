"""How much host memory a worker uses for idle conversations, unless that is set."""

from typing import Final

from shared.config import Settings
from shared.process.machine import free_memory

_SHARE: Final = 4
"""One part of so many: the others are for KV caches, file caches and the machine's other work."""
_LEAST: Final = 128 << 20
"""Bytes; with less a worker forgets conversations between two turns."""


def park_bytes(settings: Settings, workers: int = 1, *, free: int | None = None) -> int:
    """Bytes for each of this machine's workers: `PALAVER_PARK_BYTES`, or what can be spared.

    That is a quarter of what is free beside the model, whose weights all workers share: they are
    mapped from its file.

    Args:
        free: bytes of memory; None looks.
    """
    if settings.park_bytes is not None:
        return settings.park_bytes
    path = settings.model_path
    weights = path.stat().st_size if path is not None else 0
    beside = (free_memory() if free is None else free) - weights
    return max(_LEAST, beside // _SHARE // max(1, workers))
