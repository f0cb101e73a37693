"""The page's texts: all in the message files, and none there that nobody uses.

`page/languages.test.js` compares the files with each other.
"""

import json
import re
from html.parser import HTMLParser
from typing import Final

import pytest

from api.web.pages import STATIC

ENGLISH: Final[dict[str, str | dict[str, str]]] = json.loads(
    (STATIC / "languages" / "en.json").read_text(encoding="utf-8")
)
TRANSLATED: Final = ("aria-label", "placeholder", "title")
UNTRANSLATED: Final = {
    "Palaver",
    "This page needs JavaScript. The same works with curl: see",
    "/openapi.json",
}
MODULES: Final = {
    path.name: path.read_text(encoding="utf-8")
    for path in sorted(STATIC.glob("*.js"))
    # This one takes its keys from the HTML.
    if path.name != "page_texts.js"
}
VOID: Final = {"meta", "link", "input", "br"}


class PageTexts(HTMLParser):
    """What a page's HTML says, by the key that stands with it; `None` where none does."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str | None, str]] = []
        self._open: list[tuple[str, str | None]] = []
        self._is_body = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self._is_body = self._is_body or tag == "body"
        self.found += [
            (values.get(f"data-t-{name}"), values[name] or "")
            for name in TRANSLATED
            if name in values
        ]
        if tag in VOID:
            return
        key = values.get("data-t")
        if key is not None:
            self.found.append((key, ""))
        self._open.append((tag, key or (self._open[-1][1] if self._open else None)))
        if tag == "code":
            self._add("`")

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self._add("`")
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if self._is_body and data.strip():
            self._add(data)

    def _add(self, text: str) -> None:
        key = self._open[-1][1]
        if key is None:
            self.found.append((None, text.strip()))
        else:
            self.found[-1] = (key, self.found[-1][1] + text)


@pytest.fixture(scope="module")
def page() -> list[tuple[str | None, str]]:
    texts = PageTexts()
    texts.feed((STATIC / "chat.html").read_text(encoding="utf-8"))
    return texts.found


def test_the_html_says_what_the_english_file_says(page: list[tuple[str | None, str]]) -> None:
    assert len(page) > 100
    for key, text in page:
        if key is not None:
            assert " ".join(text.split()) == ENGLISH[key]


def test_every_text_of_the_html_has_a_key(page: list[tuple[str | None, str]]) -> None:
    keyless = {text for key, text in page if key is None and re.search(r"\w", text)}
    assert keyless <= UNTRANSLATED


def keys_in_modules() -> set[str]:
    """The keys in all calls of `t`: its first argument is a key, or a choice between two."""
    used = set()
    for name, source in MODULES.items():
        for argument in re.findall(r"(?<![\w.])t\(([^,()]*(?:\([^()]*\))?[^,()]*)", source):
            keys = re.findall(r'"([^"]+)"', argument)
            assert keys or argument == "key", f"{name}: t({argument}) names no key"
            used.update(keys)
    return used


def test_every_key_in_the_modules_is_in_the_english_file() -> None:
    assert keys_in_modules() - set(ENGLISH) == set()


def test_every_text_is_used(page: list[tuple[str | None, str]]) -> None:
    assert set(ENGLISH) - keys_in_modules() - {key for key, _ in page} == set()
