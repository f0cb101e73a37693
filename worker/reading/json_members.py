"""The members of a JSON object as the text that was written."""

import json
import re
from collections.abc import Iterator
from typing import Final

_DECODER: Final = json.JSONDecoder()
_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_SEPARATOR: Final = re.compile(r"[ \t\r\n]*[:,}][ \t\r\n]*")


def text_at(text: str, path: tuple[str, ...]) -> str:
    """The text of a value in a valid JSON object, by the names that lead to it.

    Raises:
        KeyError: there is no such member.
    """
    for name in path:
        text = dict(_members(text))[name]
    return text


def items_of(text: str) -> list[str]:
    """The texts of a valid JSON list's items; an object is its own only item."""
    if not text.startswith("["):
        return [text]
    items: list[str] = []
    position = _behind_blanks(text, 1)
    while text[position] != "]":
        _, end = _DECODER.raw_decode(text, position)
        items.append(text[position:end])
        position = _behind_blanks(text, end)
        if text[position] == ",":
            position = _behind_blanks(text, position + 1)
    return items


def _members(text: str) -> Iterator[tuple[str, str]]:
    if not text.startswith("{"):
        return
    position = _behind_blanks(text, 1)
    while text[position] not in "}":
        name, end = _DECODER.raw_decode(text, position)
        start = _behind_separator(text, end)
        _, end = _DECODER.raw_decode(text, start)
        yield name, text[start:end]
        position = _behind_separator(text, end)
        if position >= len(text):
            return


def _behind_blanks(text: str, position: int) -> int:
    match = _BLANKS.match(text, position)
    return match.end() if match else position


def _behind_separator(text: str, position: int) -> int:
    match = _SEPARATOR.match(text, position)
    return match.end() if match else len(text)
