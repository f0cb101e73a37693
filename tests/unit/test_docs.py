"""The documentation names pages, headings, files and modules that exist."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    str(page.relative_to(ROOT)) for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]*)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SOURCE = re.compile(r"`((?:api|worker|shared|cli|tests|bench)/[\w./-]*\.(?:py|lua|js))`")
MODULE = re.compile(r"python3? -m ((?:api|worker|shared|cli|tests|bench)\b[\w.]*)")


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def anchors(page: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", text_of(page)), re.MULTILINE)
    plain = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower() for heading in headings)
    return {re.sub(r"[^\w -]", "", heading).replace(" ", "-") for heading in plain}


def leads_somewhere(page: str, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = ((ROOT / page).parent / path if path else ROOT / page).resolve()
    return target.exists() and (not anchor or anchor in anchors(str(target.relative_to(ROOT))))


def links(page: str) -> Iterator[str]:
    """The targets of a page's links within the project."""
    yield from LINK.findall(FENCE.sub("", text_of(page)))


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page: str) -> None:
    assert [link for link in links(page) if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if "/decisions/" not in page])
def test_every_source_file_that_is_named_exists(page: str) -> None:
    named = {ROOT / path for path in SOURCE.findall(text_of(page))}
    assert [str(path) for path in named if not path.exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_module_that_is_run_exists(page: str) -> None:
    missing = [
        module
        for module in MODULE.findall(text_of(page))
        if not (path := ROOT.joinpath(*module.split("."))).with_suffix(".py").exists()
        and not (path / "__main__.py").exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", [page for page in PAGES if "/decisions/0" in page])
def test_every_decision_has_status_and_date(page: str) -> None:
    assert re.search(r"^Status: \w.*\nDate: \d{4}-\d\d-\d\d$", text_of(page), re.MULTILINE)


def test_every_page_can_be_found_from_the_readme() -> None:
    reached, left = set[str](), ["README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        targets = {
            str(((ROOT / page).parent / path).resolve().relative_to(ROOT))
            for path in (link.partition("#")[0] for link in links(page))
            if path.endswith(".md")
        }
        left += sorted(targets - reached - set(left))
    assert set(PAGES) <= reached


def test_what_is_broken_is_noticed() -> None:
    assert leads_somewhere("README.md", "docs/api.md#errors")
    assert not leads_somewhere("README.md", "docs/api.md#no-such-heading")
    assert not leads_somewhere("README.md", "docs/no-such-page.md")
    assert "post-" in anchors("docs/api.md")
    assert LINK.findall("[a](b.md#c) [d](https://e.f)") == ["b.md#c"]
    assert MODULE.findall("python -m api.nothing") == ["api.nothing"]
