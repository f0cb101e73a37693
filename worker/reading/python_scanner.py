"""Finds the end of a call's arguments in Python's notation, in text that arrives in pieces."""

import re
from typing import Final

_OUTSIDE: Final = re.compile(r"""["'()\[\]{}]""")
_BEHIND_RAW: Final = re.compile(r"\s{0,9}(\)|,\s{0,9}(\)|\*\*|\w[\w.-]{0,63}\s{0,9}=))")
"""What stands behind the last quotation mark of an argument whose text is not escaped."""
_MAY_BE_BEHIND_RAW: Final = re.compile(r"\s{0,9}(,\s{0,9}(\*|\w[\w.-]{0,63}\s{0,9})?)?\Z")
"""Its beginnings."""


class PythonScanner:
    """Follows a call from its opening parenthesis to the closing one, in linear time.

    It does not check what stands between them; that is done once the call is whole.

    Args:
        start: where the opening parenthesis stands.
        raw_quote: the quotation mark of arguments whose text is not escaped; "" if there is none.
    """

    def __init__(self, start: int = 0, *, raw_quote: str = "") -> None:
        self._position = start
        self._raw_quote = raw_quote
        self._depth = 0
        self._quote = ""

    def end(self, text: str) -> int | None:
        """Where the call ends in a text that has grown since the last time; None if it has not."""
        while True:
            is_moved = self._in_string(text) if self._quote else self._outside(text)
            if not is_moved:
                return None
            if self._depth == 0:
                return self._position

    def _outside(self, text: str) -> bool:
        """Go behind the next bracket, or into the next string; False if the text ends before."""
        match = _OUTSIDE.search(text, self._position)
        self._position = len(text) if match is None else match.start()
        if match is None:
            return False
        if match[0] in "\"'":
            quote = opening_quote(text, self._position, is_raw=self._is_raw(match[0]))
            self._quote = quote or ""
            self._position += len(self._quote)
            return quote is not None
        self._depth += 1 if match[0] in "([{" else -1
        self._position += 1
        return True

    def _is_raw(self, quote: str) -> bool:
        return self._depth == 1 and quote == self._raw_quote

    def _in_string(self, text: str) -> bool:
        """Go behind the string; False if the text ends before."""
        is_raw = self._is_raw(self._quote)
        at = closing_quote(text, self._position, self._quote, is_raw=is_raw)
        if at < 0:
            self._position = -at - 1
            return False
        self._position, self._quote = at + len(self._quote), ""
        return True


def opening_quote(text: str, position: int, *, is_raw: bool) -> str | None:
    """The quotation marks that open a string, one or three; None as long as that is not clear."""
    quote = text[position]
    if is_raw or text[position + 1 : position + 2] not in ("", quote):
        return quote
    if len(text) < position + 3:
        return None
    return quote * 3 if text.startswith(quote * 3, position) else quote


def closing_quote(text: str, position: int, quote: str, *, is_raw: bool) -> int:
    """Where the quotation marks that close a string stand, from a place inside it on.

    If they have not come yet, `-1 - p` for the place p to look from next.
    """
    while True:
        at = text.find(quote, position)
        escape = text.find("\\", position, at if at >= 0 else len(text))
        if escape >= 0:
            if len(text) < escape + 2:
                return -1 - escape
            position = escape + 2
            continue
        if at < 0:
            return -1 - max(position, len(text) - len(quote) + 1)
        if not is_raw or _BEHIND_RAW.match(text, at + 1):
            return at
        if _MAY_BE_BEHIND_RAW.match(text, at + 1):
            return -1 - at
        position = at + 1
