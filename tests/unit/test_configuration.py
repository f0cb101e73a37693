"""docs/configuration.md has every setting as it is, and every other variable that is read."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.config import Settings
from shared.settings_table import PAGE, page, variable

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("api", "bench", "cli", "shared", "worker", ".ci")
NAME = re.compile(r"\bPALAVER_[A-Z_]+\b")


def texts() -> Iterator[str]:
    for folder in SOURCES:
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".js", ".sh") or path == ROOT / ".ci" / "run":
                yield path.read_text(encoding="utf-8")
    for name in ("Makefile", "Procfile"):
        yield (ROOT / name).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def text() -> str:
    return PAGE.read_text(encoding="utf-8")


def test_its_tables_are_those_that_make_docs_writes(text: str) -> None:
    assert page(text) == text, "`make docs` writes them"


def test_every_setting_is_described_in_sentences(text: str) -> None:
    for field in Settings.model_fields.values():
        assert re.fullmatch(r".+\.", field.description or ""), variable(field)
        assert text.count(f"\n| `{variable(field)}` |") == 1


def test_every_variable_that_the_sources_name_is_described(text: str) -> None:
    named = {name for source in texts() for name in NAME.findall(source)}
    assert len(named) > 30
    assert named - set(NAME.findall(text)) == set()


def test_no_other_variable_is_described(text: str) -> None:
    named = {name for source in texts() for name in NAME.findall(source)}
    assert set(NAME.findall(text)) - named == set()
