"""Tags in a template's markup: where they begin and end, and what they consist of.

A tag is what one control token spells in most vocabularies: `<think>`, `<|end|>`, `[TOOL_CALLS]`,
`]<]name[>[`. An element is a tag, or two with a word in between: `<|close|>think<|sep|>`.
"""

import re
from typing import Final

from worker.engine.prefixes import common_prefix

_TAG: Final = r"(?:\]<\][^\s<>\[\]]+\[>\[|<[^<>\s][^<>]*>|\[/?[A-Z][A-Z_ ]*\])"
_TAGS: Final = re.compile(_TAG)
_ELEMENTS: Final = re.compile(rf"{_TAG}(?:[^<>\[\]\n]+{_TAG})?")
_FIRST: Final = re.compile(rf"\s*{_TAG}")
_WORD_AND_TAG: Final = re.compile(rf"([\w:.-]+){_TAG}")
_WORD: Final = re.compile(r"[\w:.-]+")
_NEWLINES: Final = re.compile(r"\n*")


def elements_of(text: str) -> list[str]:
    """All elements, from left to right."""
    return _ELEMENTS.findall(text)


def has_tag(text: str) -> bool:
    """Whether there is one."""
    return _TAGS.search(text) is not None


def has_word(element: str) -> bool:
    """Whether there is something besides tags."""
    return bool(_TAGS.sub("", element).strip())


def last_element(text: str) -> str:
    """The element at the end, blanks behind it included; empty if something else stands there."""
    *_, last = [None, *_ELEMENTS.finditer(text)]
    return "" if last is None or text[last.end() :].strip() else text[last.start() :]


def first_element(text: str, begin: str) -> str:
    """The element at the beginning with blanks around it, or the whole text if none is there.

    Args:
        begin: markup to which this is the end; it tells whether a word belongs to the element.
    """
    tag = _FIRST.match(text)
    if tag is None:
        return text
    end = tag.end()
    more = _WORD_AND_TAG.match(text, end)
    if more is not None and more[1] in _WORD.findall(_TAGS.sub(" ", begin)):
        end = more.end()
    newlines = _NEWLINES.match(text, end)
    return text[: newlines.end() if newlines else end]


def outside_tags(text: str, position: int) -> int:
    """The last position that is not inside a tag, and not behind the given one."""
    for tag in _TAGS.finditer(text):
        if tag.start() < position < tag.end():
            return tag.start()
    return position


def element_end(text: str, position: int) -> int:
    """The end of the element that a position is inside of, or else the position."""
    for element in _ELEMENTS.finditer(text):
        if element.start() < position < element.end():
            return element.end()
    return position


def parted(text: str, first_end: str, second_start: str) -> tuple[str, str]:
    """Two pieces of markup that stand next to each other.

    Args:
        first_end: how the text goes on elsewhere behind the first piece.
        second_start: what stands elsewhere in front of the same end.
    """
    first = len(text) - common_prefix(text[::-1], second_start[::-1])
    last = common_prefix(text, first_end)
    place = _border(text, first, last)
    if place is not None:
        return text[:place], text[place:]
    first_piece = common_start(first_end, text)
    return first_piece, common_end(second_start, text[len(first_piece) :])


def _border(text: str, first: int, last: int) -> int | None:
    """Where to cut a text between two positions: behind a newline or else beside an element."""
    newline = text.rfind("\n", max(first - 1, 0), last)
    if newline >= 0:
        return newline + 1
    borders = {place for element in _ELEMENTS.finditer(text) for place in element.span()}
    return min((place for place in borders if first <= place <= last), default=None)


def common_start(first: str, second: str) -> str:
    """What both begin with, without half of a markup."""
    length = common_prefix(first, second)
    if length in (len(first), len(second)):
        return first[:length]
    return first[: 1 + max(first.rfind(end, 0, length) for end in '>]\n"}')]


def common_end(first: str, second: str) -> str:
    """What both end with, without half of a markup."""
    length = common_prefix(first[::-1], second[::-1])
    common = first[len(first) - length :]
    if length in (len(first), len(second)):
        return common
    starts = [at for begin in '<[\n{"' if (at := common.find(begin)) >= 0]
    return common[min(starts) :] if starts else ""
