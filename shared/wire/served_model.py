"""A model as those see it who look for one."""

from dataclasses import dataclass
from typing import Final

DEMO: Final = "demo"
"""Stands among the capabilities of the bundled model, which only shows that everything works."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model that workers run.

    Args:
        window: tokens of prompt and reply together.
        workers: how many run it.
        capabilities: what any of them can do with it: `chat`, `tools`, `reasoning`, `embeddings`;
            and `DEMO`.
    """

    name: str
    window: int = 0
    workers: int = 1
    capabilities: tuple[str, ...] = ()


def decode_capabilities(stored: str | None) -> tuple[str, ...]:
    """Read what a worker reports; workers of older versions say nothing, and chat."""
    return ("chat",) if stored is None else tuple(filter(None, stored.split(",")))


def merged(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """Each capability once, in order."""
    return tuple(dict.fromkeys((*first, *second)))
