"""Which format the stored data have: the key `schema`."""

from typing import Final

OLDEST_FORMAT: Final = "1"
"""What new data have until something is stored that versions before parts cannot read."""

FORMAT_OF_PARTS: Final = "2"
"""Messages may have calls of tools, or be their results; scripts raise the format to it."""

FORMAT_OF_POOLS: Final = "3"
"""Turns wait in the line of a pool, which versions before do not know; workers raise it."""

READABLE_FORMATS: Final = (OLDEST_FORMAT, FORMAT_OF_PARTS, FORMAT_OF_POOLS)
