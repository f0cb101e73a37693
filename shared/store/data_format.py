"""Which format the stored data have: the key `schema`."""

from typing import Final

OLDEST_FORMAT: Final = "1"
"""What new data have until something is stored that versions before parts cannot read."""

FORMAT_OF_PARTS: Final = "2"
"""Messages may have calls of tools, or be their results; scripts raise the format to it."""

READABLE_FORMATS: Final = (OLDEST_FORMAT, FORMAT_OF_PARTS)
