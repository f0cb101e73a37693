"""A call's arguments in Python's notation as JSON text: `(city="Paris", days=3, **{"a-b": None})`.

Only literals count: strings, numbers as JSON has them, `True`, `False`, `None` and how JSON spells
these, lists, and dictionaries with strings as keys. Nothing is ever run.
"""

import json
import re
from dataclasses import dataclass
from typing import Final

from worker.reading.call_syntax import NoCall
from worker.reading.python_scanner import closing_quote, opening_quote
from worker.reading.value_scanner import ValueScanner

_MAX_DEPTH: Final = 64
_KEY: Final = re.compile(r"""\s*([^\s=(){}\[\],"'*]+)\s*=""")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])")
_WORD: Final = re.compile(r"[A-Za-z]+")
_WORDS: Final = {
    **{"True": "true", "False": "false", "None": "null"},
    **{word: word for word in ("true", "false", "null")},
}
_ESCAPE: Final = re.compile(
    r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{1,3}|.)", re.DOTALL
)
_ESCAPES: Final = {
    **{"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "a": "\a", "v": "\v", "\n": ""},
    **{"\\": "\\", "'": "'", '"': '"'},
}


def arguments_in(text: str, *, raw_quote: str = "") -> str:
    """All between the parentheses, which are the first and last character, as a JSON object.

    Args:
        raw_quote: the quotation mark of arguments whose text is not escaped; "" if there is none.

    Raises:
        NoCall: there is something else than literals by name.
    """
    values = _Values(text, raw_quote)
    arguments = values.arguments()
    if values.position != len(text):
        raise NoCall
    return arguments


@dataclass
class _Values(ValueScanner):
    raw_quote: str

    def arguments(self) -> str:
        self._expect("(")
        members: dict[str, str] = {}
        is_first = True
        while not self._takes(")"):
            if not is_first:
                self._expect(",")
                if self._takes(")"):
                    break
            is_first = False
            _add(members, self._argument())
        return _object(members)

    def _argument(self) -> list[tuple[str, str]]:
        """A keyword and its value, or all that stand in a dictionary."""
        if self._takes("**"):
            self._expect("{")
            return list(self._members(1).items())
        match = _KEY.match(self.text, self.position)
        if match is None:
            raise NoCall
        self.position = match.end()
        return [(match[1], self._value(0))]

    def _value(self, depth: int) -> str:
        if depth > _MAX_DEPTH:
            raise NoCall
        self._skip_blanks()
        if self.text[self.position : self.position + 1] in ('"', "'"):
            return json.dumps(self._string(is_argument=depth == 0), ensure_ascii=False)
        if self._takes("{"):
            return _object(self._members(depth + 1))
        if self._takes("["):
            return self._items(depth + 1)
        return self._plain()

    def _members(self, depth: int) -> dict[str, str]:
        """A dictionary behind its opening brace."""
        members: dict[str, str] = {}
        while not self._takes("}"):
            if members:
                self._expect(",")
                if self._takes("}"):
                    break
            self._skip_blanks()
            key = self._string(is_argument=False)
            self._expect(":")
            _add(members, [(key, self._value(depth))])
        return members

    def _items(self, depth: int) -> str:
        """A list behind its opening bracket."""
        items: list[str] = []
        while not self._takes("]"):
            if items:
                self._expect(",")
                if self._takes("]"):
                    break
            items.append(self._value(depth))
        return f"[{', '.join(items)}]"

    def _plain(self) -> str:
        number = _NUMBER.match(self.text, self.position)
        word = _WORD.match(self.text, self.position)
        if number is not None:
            self.position = number.end()
            return number[0]
        if word is None or word[0] not in _WORDS:
            raise NoCall
        self.position = word.end()
        return _WORDS[word[0]]

    def _string(self, *, is_argument: bool) -> str:
        if self.text[self.position : self.position + 1] not in ('"', "'"):
            raise NoCall
        is_raw = is_argument and self.text[self.position] == self.raw_quote
        quote = opening_quote(self.text, self.position, is_raw=is_raw) or ""
        start = self.position + len(quote)
        end = closing_quote(self.text, start, quote, is_raw=is_raw) if quote else -1
        if end < 0:
            raise NoCall
        self.position = end + len(quote)
        body = self.text[start:end]
        return body.replace("\\" + quote, quote) if is_raw else _ESCAPE.sub(_unescaped, body)


def _add(members: dict[str, str], new: list[tuple[str, str]]) -> None:
    for key, value in new:
        if key in members:
            raise NoCall
        members[key] = value


def _object(members: dict[str, str]) -> str:
    pairs = [f"{json.dumps(key, ensure_ascii=False)}: {value}" for key, value in members.items()]
    return f"{{{', '.join(pairs)}}}"


def _unescaped(match: re.Match[str]) -> str:
    """What an escape stands for; one that Python does not know stays as it is."""
    escape = match[1]
    if escape in _ESCAPES:
        return _ESCAPES[escape]
    try:
        if escape[0] in "xuU" and len(escape) > 1:
            return chr(int(escape[1:], 16))
        return chr(int(escape, 8)) if escape.isdecimal() and escape.isascii() else match[0]
    except ValueError:  # not a character, or not an octal number
        return match[0]
