"""Placeholders for what others wrote, and how they are found again in a rendered prompt.

A placeholder is a number between two characters of Unicode's private use area, with a quotation
mark behind the number. Where the template escapes it, as JSON for example, it comes out in another
form; what is filled in then has to be escaped in the same way.
"""

import functools
import itertools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from worker.template.environment import TemplateError
from worker.template.placed_text import Origin, PlacedText

_PLACEHOLDER: Final = re.compile(r"(\ue000|\\+ue000)(\d+)(.{1,100}?)(\ue001|\\+ue001)")
_REMAINS: Final = re.compile(r"[\ue000\ue001]|\\ue00[01]")
_LONGEST_CHAIN: Final = 3
_SPECIAL: Final = "<>&"
"""Characters that some templates look for in arguments, to decide how to write them."""
_SPECIALS: Final = ("", "<", ">", "&", "<>", "<&", ">&", "<>&")


def _as_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _as_ascii_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _as_python(text: str) -> str:
    return repr(f'"{text}')[2:-1]  # the quotation mark has it quoted with apostrophes


def _as_attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;")


def _as_xml(text: str) -> str:
    return _as_attribute(text).replace("<", "&lt;").replace(">", "&gt;")


def _as_markup(text: str) -> str:
    """As Jinja's filter `escape` does it."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return text.replace("'", "&#39;").replace('"', "&#34;")


_Escape = Callable[[str], str]
_ESCAPES: Final[tuple[_Escape, ...]] = (
    _as_json, _as_ascii_json, _as_python, _as_attribute, _as_xml, _as_markup,
)  # fmt: skip


@dataclass(slots=True)
class Foreign:
    """What others wrote in one prompt, by the number of its placeholder."""

    texts: list[str] = field(default_factory=list)
    origins: list[Origin] = field(default_factory=list)

    def mark(self, text: str, origin: Origin) -> str:
        """The placeholder of a text; an empty one needs none, so that templates see it is empty."""
        if not text:
            return ""
        self.texts.append(text)
        self.origins.append(origin)
        special = ""
        if origin.part in ("call", "tool"):
            special = "".join(character for character in _SPECIAL if character in text)
        return f'\ue000{len(self.texts) - 1}"{special}\ue001'


@dataclass(frozen=True, slots=True)
class Hole:
    """A placeholder in a rendered prompt.

    Args:
        number: of the text that goes there.
        escapes: how that has to be escaped, in this order.
    """

    number: int
    escapes: tuple[_Escape, ...]

    def filled(self, foreign: Foreign) -> PlacedText:
        """The text that goes there."""
        text = foreign.texts[self.number]
        for each in self.escapes:
            text = each(text)
        return PlacedText(text=text, origin=foreign.origins[self.number])


Scaffold = tuple[str | Hole, ...]
"""A rendered prompt: the template's own texts, and holes."""


def scaffold_of(text: str) -> Scaffold:
    """Cut a rendered prompt at its placeholders.

    Raises:
        TemplateError: the template has taken a placeholder apart.
    """
    parts: list[str | Hole] = []
    position = 0
    for match in _PLACEHOLDER.finditer(text):
        begin, number, middle, end = match.groups()
        escapes = _forms().get((begin, middle, end))
        if escapes is None:
            raise TemplateError("the template changes what messages say")
        parts += [text[position : match.start()], Hole(int(number), escapes)]
        position = match.end()
    parts.append(text[position:])
    if any(isinstance(part, str) and _REMAINS.search(part) for part in parts):
        raise TemplateError("the template changes what messages say")
    return tuple(part for part in parts if part)


@functools.cache
def _forms() -> dict[tuple[str, str, str], tuple[_Escape, ...]]:
    """All forms in which a placeholder can come out, and the shortest way to each."""
    forms: dict[tuple[str, str, str], tuple[_Escape, ...]] = {}
    for length in range(_LONGEST_CHAIN + 1):
        for escapes in itertools.product(_ESCAPES, repeat=length):
            for special in _SPECIALS:
                form = ["\ue000", f'"{special}', "\ue001"]
                for each in escapes:
                    form = [each(text) for text in form]
                forms.setdefault((form[0], form[1], form[2]), escapes)
    return forms
