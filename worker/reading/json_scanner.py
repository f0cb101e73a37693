"""Finds the end of a JSON value in text that arrives in pieces, in linear time."""

import re
from typing import Final

_OUTSIDE: Final = re.compile(r'["{}\[\]]')
_IN_STRING: Final = re.compile(r'["\\]')


class JsonScanner:
    """Follows an object or a list until its last bracket.

    It does not check the value; that is done once it is whole.

    Args:
        start: where the value's first bracket stands.
    """

    def __init__(self, start: int = 0) -> None:
        self._depth = 0
        self._in_string = False
        self._position = start

    def end(self, text: str) -> int | None:
        """Where the value ends in a text that has grown since the last call; None if it has not."""
        position = self._position
        while match := (_IN_STRING if self._in_string else _OUTSIDE).search(text, position):
            position = match.end()
            if match[0] == "\\" and position == len(text):
                position -= 1  # what it escapes has not come yet
                break
            if match[0] == "\\":
                position += 1
            elif self._closes(match[0]):
                self._position = position
                return position
        else:
            position = len(text)
        self._position = position
        return None

    def _closes(self, character: str) -> bool:
        if character == '"':
            self._in_string = not self._in_string
        elif character in "{[":
            self._depth += 1
        else:
            self._depth -= 1
        return self._depth <= 0 and not self._in_string
