"""The pages' message files, for what the server says itself, and which of them a reader wants."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import orjson

from api.web.pages import STATIC

_REFERENCE: Final = "en"
_MOST: Final = 20
"""Languages of one request that are looked at."""
_WANTED: Final = re.compile(
    r"\s*([a-z]{2,8}(?:-[a-z0-9]{1,8}){0,5})\s*(?:;\s*q=([01](?:\.[0-9]{0,3})?)\s*)?"
)
_SCRIPTS: Final[Mapping[str, str]] = {
    "zh": "hans",
    "zh-tw": "hant",
    "zh-hk": "hant",
    "zh-mo": "hant",
}
"""In which a language, or that of a region, is written where its tag does not say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """What the pages say in one language.

    Args:
        tag: as HTML's `lang` has it.
    """

    tag: str
    texts: Mapping[str, Any]

    def say(self, key: str, **places: str) -> str:
        """A text that has one form, with what is to be inserted."""
        text: str = self.texts[key]
        return text.format_map(places)

    def direction(self, key: str) -> Literal["ltr", "rtl"]:
        """Which way a text runs, by its first letter."""
        kinds = map(unicodedata.bidirectional, self.texts[key])
        first = next((kind for kind in kinds if kind in ("L", "R", "AL")), "L")
        return "ltr" if first == "L" else "rtl"


class Languages:
    """All that there are, read once."""

    def __init__(self) -> None:
        read = [
            Language(tag=path.stem, texts=orjson.loads(path.read_bytes()))
            for path in sorted((STATIC / "languages").glob("*.json"))
        ]
        self._by_script = {_written(each.tag): each for each in read}
        self._reference = self._by_script[_written(_REFERENCE)]

    def wanted(self, header: str) -> Language:
        """The first of the languages of an `Accept-Language` that there is; English otherwise."""
        there = (self._by_script.get(_written(tag)) for tag in _tags(header))
        return next(filter(None, there), self._reference)


def _tags(header: str) -> list[str]:
    """Those that are wanted, the dearest one first; what is malformed is left out."""
    parts = header.lower().split(",", _MOST)[:_MOST]
    found = [match for part in parts if (match := _WANTED.fullmatch(part))]
    ranked = sorted(found, key=_quality, reverse=True)
    return [match[1] for match in ranked if _quality(match) > 0]


def _quality(match: re.Match[str]) -> float:
    return float(match[2] or 1)


def _written(tag: str) -> tuple[str, str]:
    """Language and script: readers of Traditional Chinese are not given the Simplified one."""
    language, *others = tag.lower().split("-")
    script = next((other for other in others if len(other) == 4 and other.isalpha()), "")
    region = next((other for other in others if len(other) == 2), "")
    return language, script or _SCRIPTS.get(f"{language}-{region}") or _SCRIPTS.get(language, "")
