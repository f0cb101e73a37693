"""Placeholders for what others wrote, and how they are found again in a rendered prompt.

A placeholder is a number between two characters of Unicode's private use area, with a quotation
mark behind the number: where the template writes it as JSON, the mark comes out with backslashes,
and what is filled in then has to be escaped as often.
"""

import json
import re
from dataclasses import dataclass, field
from typing import Final

from worker.template.environment import TemplateError
from worker.template.placed_text import Origin, PlacedText

_PLACEHOLDER: Final = re.compile('\ue000(\\d+)(\\\\*)"\ue001')


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
        return f'\ue000{len(self.texts) - 1}"\ue001'


@dataclass(frozen=True, slots=True)
class Hole:
    """A placeholder in a rendered prompt.

    Args:
        number: of the text that goes there.
        depth: how often that has to be escaped as JSON.
    """

    number: int
    depth: int

    def filled(self, foreign: Foreign) -> PlacedText:
        """The text that goes there."""
        text = foreign.texts[self.number]
        for _ in range(self.depth):
            text = json.dumps(text, ensure_ascii=False)[1:-1]
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
        parts += [text[position : match.start()], Hole(int(match[1]), _depth(len(match[2])))]
        position = match.end()
    parts.append(text[position:])
    own = [part for part in parts if isinstance(part, str)]
    if any("\ue000" in part or "\ue001" in part for part in own):
        raise TemplateError("the template changes what messages say")
    return tuple(part for part in parts if part)


def _depth(num_backslashes: int) -> int:
    """One backslash is one level of JSON, three are two, seven are three."""
    return (num_backslashes + 1).bit_length() - 1
