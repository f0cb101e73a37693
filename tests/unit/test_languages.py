"""The page's texts: all in the message files, and none there that nobody uses.

`page/languages.test.js` compares the files with each other.
"""

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

import api.sharing.page
from api.web.languages import Languages
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
SHARED_PAGE: Final = Path(api.sharing.page.__file__).read_text(encoding="utf-8")
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
    in_html = {key for key, _ in page}
    assert set(ENGLISH) - keys_in_modules() - in_html - keys_of_the_server() == set()


def keys_of_the_server() -> set[str]:
    """The keys of the page that the server makes itself."""
    return set(re.findall(r'"((?:shared|who)\.(?!html)\w+)"', SHARED_PAGE))


def test_every_key_of_the_server_is_in_the_english_file() -> None:
    assert {"shared.about", "who.says"} <= keys_of_the_server() <= set(ENGLISH)


@pytest.mark.parametrize(
    ("header", "tag"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT, en;q=0.5", "de"),
        ("en;q=0.5, fr;q=0.8", "fr"),
        ("fr;q=0, es;q=0.1", "es"),
        ("tlh, *;q=0.5", "en"),
        ("zh-CN", "zh-Hans"),
        ("zh-TW, de;q=0.1", "de"),
        ("zh-Hant-CN, de;q=0.1", "de"),
        ("AR-eg", "ar"),
        ("de;q=2, es", "es"),
        (";;,,=,-, fr", "fr"),
        (",".join(["tlh"] * 30) + ", fr", "en"),
        ("a" * 100_000, "en"),
    ],
)
def test_a_reader_gets_the_first_language_that_there_is(header: str, tag: str) -> None:
    assert Languages().wanted(header).tag == tag


def test_only_arabic_runs_from_right_to_left() -> None:
    tags = [path.stem for path in (STATIC / "languages").glob("*.json")]
    found = {tag: Languages().wanted(tag).direction("shared.about") for tag in tags}
    assert {tag for tag, direction in found.items() if direction == "rtl"} == {"ar"}
    assert len(found) == len(tags) > 5
