"""Palaver as it is installed: its name among other distributions, and its version."""

import importlib.metadata
from typing import Final

NAME: Final = "palaver-chat"
"""On an index `palaver` is somebody else's."""


def version() -> str:
    """Palaver's version."""
    return importlib.metadata.version(NAME)
