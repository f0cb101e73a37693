"""Finds the end of a JSON value in text that arrives in pieces, in linear time."""

from typing import Final

_OPENING: Final = "{["
_CLOSING: Final = "}]"


class JsonScanner:
    """Follows an object or a list until its last bracket.

    It does not check the value; that is done once it is whole.
    """

    def __init__(self) -> None:
        self._depth = 0
        self._in_string = False
        self._is_escaped = False
        self._position = 0

    def end(self, text: str) -> int | None:
        """Where the value ends in a text that has grown since the last call; None if it has not.

        Args:
            text: begins with the value's first bracket.
        """
        for position in range(self._position, len(text)):
            if self._closes(text[position]):
                self._position = position + 1
                return self._position
        self._position = len(text)
        return None

    def _closes(self, character: str) -> bool:
        if self._in_string:
            if self._is_escaped:
                self._is_escaped = False
            elif character == "\\":
                self._is_escaped = True
            elif character == '"':
                self._in_string = False
            return False
        if character == '"':
            self._in_string = True
        elif character in _OPENING:
            self._depth += 1
        elif character in _CLOSING:
            self._depth -= 1
            return self._depth <= 0
        return False
