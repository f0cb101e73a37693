"""The documentation names pages, headings, files, modules, settings and keys that exist."""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from api.description.problems import PROBLEMS
from api.routes import ROUTES
from shared.store.keys import PATTERNS
from shared.wire.sampling import FullSampling

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    str(page.relative_to(ROOT)) for page in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"))
)
DECISIONS = [page for page in PAGES if page.startswith("docs/decisions/0")]
TODAY = [page for page in PAGES if page not in DECISIONS]
"""Decisions name what there was at their time."""
LINK = re.compile(r"\]\((?!https?://|mailto:)([^)\s]*)\)")
FENCE = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
SOURCE = re.compile(r"`((?:api|worker|shared|cli|tests|bench)/[\w./-]*\.(?:py|lua|js))`")
SETTING = re.compile(r"\bPALAVER_[A-Z_]+[A-Z]\b")
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


def wrong(found: Callable[[str], Iterable[str]], pages: Iterable[str]) -> dict[str, list[str]]:
    """What is found on each page that has any of it."""
    return {page: each for page in pages if (each := list(found(page)))}


def test_every_link_leads_somewhere() -> None:
    def broken(page: str) -> Iterator[str]:
        return (link for link in links(page) if not leads_somewhere(page, link))

    assert wrong(broken, PAGES) == {}


def test_every_source_file_that_is_named_exists() -> None:
    def missing(page: str) -> Iterator[str]:
        return (path for path in SOURCE.findall(text_of(page)) if not (ROOT / path).exists())

    assert wrong(missing, TODAY) == {}


def test_every_file_of_the_architecture_exists() -> None:
    rooms = ("api", "cli", "shared", "worker")
    there = {path.name for room in rooms for path in (ROOT / room).rglob("*.*")}
    named = set(re.findall(r"\b\w+\.(?:py|lua)\b", text_of("docs/architecture.md")))
    assert len(named) > 40
    assert named - there == set()


def test_every_module_that_is_run_exists() -> None:
    def missing(page: str) -> Iterator[str]:
        for module in MODULE.findall(text_of(page)):
            path = ROOT.joinpath(*module.split("."))
            if not (path.with_suffix(".py").exists() or (path / "__main__.py").exists()):
                yield module

    assert wrong(missing, TODAY) == {}


def test_every_setting_that_is_named_is_described() -> None:
    described = set(SETTING.findall(text_of("docs/configuration.md")))
    assert wrong(lambda page: set(SETTING.findall(text_of(page))) - described, TODAY) == {}


def test_every_key_in_redis_is_described() -> None:
    text = text_of("docs/architecture.md")
    for pattern in PATTERNS.values():
        name, takes_an_id, _ = pattern.partition("{}")
        assert (f"`{name}{{" if takes_an_id else f"`{name}`") in text, name


def test_every_route_is_described() -> None:
    pages = ("docs/api.md", "docs/openai.md", "docs/anthropic.md")
    text = re.sub(r"\{\w+\}", "{}", "".join(map(text_of, pages)))
    documented = [re.sub(r"\{\w+\}", "{}", route.path) for route in ROUTES if route.operations]
    assert len(documented) > 20
    assert [path for path in documented if not re.search(re.escape(path) + r"[`?#\]]", text)] == []


def test_every_sampling_option_is_described() -> None:
    for page in ("docs/api.md", "docs/openai.md"):
        text = text_of(page)
        assert [name for name in FullSampling.model_fields if f"`{name}`" not in text] == []


def test_every_error_code_is_described() -> None:
    text = text_of("docs/api.md") + text_of("docs/openai.md")
    assert [code for code in PROBLEMS if f"`{code}`" not in text] == []


def test_every_decision_has_status_and_date() -> None:
    pattern = re.compile(r"^Status: \w.*\nDate: \d{4}-\d\d-\d\d$", re.MULTILINE)
    assert [page for page in DECISIONS if not pattern.search(text_of(page))] == []


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
    assert LINK.findall("[a](b.md#c) [d](https://e.f)") == ["b.md#c"]
    assert MODULE.findall("python -m api.nothing") == ["api.nothing"]
    assert SOURCE.findall("`api/nothing.py`") == ["api/nothing.py"]
    assert SETTING.findall("`PALAVER_NOTHING=1`") == ["PALAVER_NOTHING"]
