"""A LaTeX formula as MathML that may stand in the page.

latex2mathml writes texts unescaped, and lets a formula set links, classes and styles. So only its
tree is used: known elements and attributes are written here, everything is escaped, and no length
is large enough to paint over what stands around the formula.
"""

import re
from html import escape
from typing import Final
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert_to_element

LONGEST: Final = 2000
"""Characters of a formula; a longer one is shown as it was written."""
_DEEPEST_TREE: Final = 100
"""Elements within elements."""
_DEFINES: Final = re.compile(
    r"\\(?:(?:re)?new|provide|declare)[a-z]*command|\\[egx]?def\b|\\let\b", re.I
)
"""Macros: expanded by each other, they grow without bounds."""
_REFERENCE: Final = re.compile(r"&#x([0-9A-Fa-f]{1,6});")
"""How latex2mathml notes symbols in texts."""
_SAME: Final = {
    "aligned": "align*",
    "align": "align*",
    "gathered": "matrix",
    "gather": "matrix",
    "gather*": "matrix",
    "dcases": "cases",
    "eqnarray": "align*",
}
_ENVIRONMENT: Final = re.compile(
    r"(\\(?:begin|end)\s*)\{(" + "|".join(map(re.escape, _SAME)) + r")\}"
)

_KNOWN: Final = re.compile(
    "math|menclose|mfrac|mi|mmultiscripts|mn|mo|mover|mpadded|mphantom|mroot|mrow|mspace"
    "|msqrt|mstyle|msub|msubsup|msup|mtable|mtd|mtext|mtr|munder|munderover"
)
_PARTS: Final = {
    **dict.fromkeys(("mfrac", "mover", "mroot", "msub", "msup", "munder"), 2),
    **dict.fromkeys(("msubsup", "munderover"), 3),
}
"""With another number of parts a browser shows an error."""
_WITH_WORDS: Final = re.compile(
    "accent|columnalign|columnlines|displaystyle|fence|form|largeop|linebreak|mathvariant"
    "|movablelimits|notation|rowlines|scriptlevel|separator|stretchy"
)
_WITH_LENGTHS: Final = re.compile(
    "columnspacing|depth|height|linethickness|lspace|mathsize|maxsize|minsize|rowspacing"
    "|rspace|voffset|width"
)
_WORD: Final = re.compile(r"[a-z0-9 -]{1,60}")
_ONE_LENGTH: Final = r"[+-]?\d{0,2}(?:\.\d{0,3})?(?:em|ex|px|pt)?"
_LENGTH: Final = re.compile(f"{_ONE_LENGTH}(?: {_ONE_LENGTH}){{0,20}}|[a-z]{{4,24}}mathspace")


class FormulaRefused(Exception):
    """This formula cannot be shown as one; its text can."""


def to_mathml(latex: str, *, block: bool) -> str:
    """A `math` element, with the LaTeX as its annotation.

    Raises:
        FormulaRefused: too long, too deep, with macros, or not understood.
    """
    _check(latex)
    try:
        tree = convert_to_element(_as_known(latex), display="block" if block else "inline")
    except Exception as error:
        # The library raises whatever its steps raise: StopIteration, IndexError, RecursionError.
        raise FormulaRefused from error
    inside = "".join(map(_element, tree))
    source = f'<annotation encoding="application/x-tex">{escape(latex)}</annotation>'
    display = ' display="block"' if block else ""
    return f"<math{display}><semantics><mrow>{inside}</mrow>{source}</semantics></math>"


def _check(latex: str) -> None:
    if len(latex) > LONGEST or not latex.strip() or _DEFINES.search(latex) or "\0" in latex:
        raise FormulaRefused


def _as_known(latex: str) -> str:
    """With the environments that latex2mathml knows. It would number each formula from 1."""
    return _ENVIRONMENT.sub(lambda match: f"{match[1]}{{{_SAME[match[2]]}}}", latex)


def _element(element: Element, depth: int = 0) -> str:
    if depth > _DEEPEST_TREE or not _is_sound(element):
        raise FormulaRefused
    attributes = "".join(
        f' {name}="{escape(value)}"' for name, value in element.attrib.items() if _fits(name, value)
    )
    children = [_element(child, depth + 1) + _text(child.tail) for child in element]
    return f"<{element.tag}{attributes}>{_text(element.text)}{''.join(children)}</{element.tag}>"


def _is_sound(element: Element) -> bool:
    if not _KNOWN.fullmatch(element.tag) or len(element) != _PARTS.get(element.tag, len(element)):
        return False
    # That is what is left of an environment that the library does not know.
    return element.text != "&"


def _fits(name: str, value: str) -> bool:
    if _WITH_WORDS.fullmatch(name):
        return _WORD.fullmatch(value) is not None
    return bool(_WITH_LENGTHS.fullmatch(name) and _LENGTH.fullmatch(value))


def _text(text: str | None) -> str:
    return escape(_REFERENCE.sub(_symbol, text or ""))


def _symbol(match: re.Match[str]) -> str:
    code = int(match[1], 16)
    if code < 0x20 or 0xD800 <= code < 0xE000 or code > 0x10FFFF:
        raise FormulaRefused
    return chr(code)
