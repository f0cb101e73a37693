"""Comparing sequences, mostly of token ids."""

from collections.abc import Sequence
from typing import Any, Final

_BLOCK: Final = 64
"""Slices of lists are compared in C: whole blocks first."""


def common_prefix(a: Sequence[Any], b: Sequence[Any]) -> int:
    """The number of first items that two sequences have in common."""
    limit, length = min(len(a), len(b)), 0
    while length + _BLOCK <= limit and a[length : length + _BLOCK] == b[length : length + _BLOCK]:
        length += _BLOCK
    while length < limit and a[length] == b[length]:
        length += 1
    return length
