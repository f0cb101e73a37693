"""What readers of values in a notation other than JSON have in common: marks and blanks."""

import re
from dataclasses import dataclass
from typing import Final

from worker.reading.call_syntax import NoCall

_BLANKS: Final = re.compile(r"\s*")


@dataclass
class ValueScanner:
    """A text and how far it is read."""

    text: str

    def __post_init__(self) -> None:
        self.position = 0

    def _expect(self, mark: str) -> None:
        if not self._takes(mark):
            raise NoCall

    def _takes(self, mark: str) -> bool:
        self._skip_blanks()
        if not self.text.startswith(mark, self.position):
            return False
        self.position += len(mark)
        return True

    def _skip_blanks(self) -> None:
        match = _BLANKS.match(self.text, self.position)
        self.position = match.end() if match else self.position
